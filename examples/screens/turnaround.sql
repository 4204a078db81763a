-- Turnaround: 40 % and more below the high of a year, but up in the last month and above the mean of 50 closes again, MACD above its signal
-- since not more than 20 sessions, and earnings that grow.
-- Change it: -50 for deeper falls; AND forward_pe > 0 for those that analysts expect to earn money.
SELECT ticker, name, sector, currency, last_price, week_52_high_distance, return_1m, macd_rise_bars, sma_50, quarterly_earnings_growth_yoy,
       last_bar
FROM financial_screener.v_screener
WHERE week_52_high_distance <= -40             -- %
  AND return_1m > 0
  AND last_price > sma_50
  AND macd_histogram > 0 AND macd_rise_bars <= 20
  AND quarterly_earnings_growth_yoy > 0
  AND NOT is_stale AND NOT is_flagged
ORDER BY quarterly_earnings_growth_yoy DESC, ticker
LIMIT 100;
