-- Liquid small caps: companies of 300 million to 2 billion USD that trade for a million USD and more a day, and on every session, so that
-- one gets out again. Both sums are converted from the currency that the listing is quoted in, pence as pounds.
-- Change it: the two bounds; 250e3 a day for micro caps; AND illiquidity_30 <= 0.1 for those that a trade hardly moves.
SELECT ticker, name, sector, currency, last_price, market_cap_usd, traded_value_30_usd, avg_volume_30, return_3m, last_bar
FROM financial_screener.v_screener
WHERE market_cap_usd BETWEEN 300e6 AND 2e9
  AND traded_value_30_usd >= 1e6
  AND silent_bars_30 = 0
  AND NOT is_stale AND NOT is_flagged
ORDER BY traded_value_30_usd DESC, ticker
LIMIT 100;
