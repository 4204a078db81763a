-- Low volatility: large companies whose price moves little (at most 18 % a year by the last 30 returns), and not downwards. A price that
-- does not move because nobody trades is not calm: those without a trade on a session, or at one price for a week, are out.
-- Change it: the bound of 18; market_cap_usd >= 1e9 for more; AND dividend_yield >= 0.02 for those that pay meanwhile.
SELECT ticker, name, sector, currency, last_price, volatility, beta, return_12m, dividend_yield, market_cap_usd, last_bar
FROM financial_screener.v_screener
WHERE volatility > 0 AND volatility <= 18      -- % a year
  AND market_cap_usd >= 5e9
  AND last_price > sma_200
  AND return_12m > 0
  AND silent_bars_30 = 0 AND unchanged_bars < 5
  AND NOT is_stale AND NOT is_flagged
ORDER BY volatility, ticker
LIMIT 100;
