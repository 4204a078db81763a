-- Turnaround: 40 % and more below the high of a year, but above the mean of 50 closes again, with MACD above its signal, and earnings
-- that grow.
-- Change it: 0.5 * for deeper falls; AND forward_pe > 0 for those that analysts expect to earn money.
SELECT ticker, name, sector, currency, last_price, week_52_high, sma_50, macd_histogram, quarterly_earnings_growth_yoy, last_bar, quality_flags
FROM financial_screener.v_screener
WHERE last_price <= 0.6 * week_52_high
  AND last_price > sma_50
  AND macd_histogram > 0
  AND quarterly_earnings_growth_yoy > 0
  AND NOT is_stale
ORDER BY quarterly_earnings_growth_yoy DESC, ticker
LIMIT 100;
