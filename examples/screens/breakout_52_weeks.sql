-- 52-week breakout: the price is within 2 % of its high of a year, and the last session traded half as much again as the mean of 30: a
-- high that many have paid.
-- Change it: week_52_high_distance >= 0 for those that closed at it; relative_volume >= 3 for a rush; AND avg_volume_30 > avg_volume_90
-- for one that lasts.
SELECT ticker, name, sector, currency, last_price, week_52_high, week_52_high_distance, relative_volume, rsi_14, last_bar
FROM financial_screener.v_screener
WHERE week_52_high_distance >= -2              -- %
  AND relative_volume >= 1.5
  AND NOT is_stale AND NOT is_flagged
ORDER BY week_52_high_distance DESC, relative_volume DESC, ticker
LIMIT 100;
