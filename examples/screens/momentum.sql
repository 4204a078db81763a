-- Momentum: 30 % and more in the twelve months up to a month ago (who has won goes on winning, but for the last month, which tends to
-- turn back), not broken since: above the mean of 200 closes and within a quarter of the high of a year. Traded for a million USD a day,
-- so that the rise is not one of a few trades.
-- Change it: 1.5 for the strongest; AND relative_strength_12m > 0 for those ahead of their benchmark, where its bars are kept.
SELECT ticker, name, sector, currency, last_price, return_12m, return_1m, relative_strength_12m, week_52_high_distance,
       traded_value_30_usd, last_bar
FROM financial_screener.v_screener
WHERE 100 + return_12m >= 1.3 * (100 + return_1m)   -- % in all: what was left a month ago has grown by 30 %
  AND last_price > sma_200
  AND week_52_high_distance >= -25
  AND traded_value_30_usd >= 1e6
  AND NOT is_stale AND NOT is_flagged
ORDER BY (100 + return_12m) / nullif(100 + return_1m, 0) DESC, ticker
LIMIT 100;
