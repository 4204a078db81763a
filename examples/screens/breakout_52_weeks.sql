-- 52-week breakout: the price is within 2 % of its high of a year, with more trading in the last 30 days than in the last 90.
-- Change it: last_price >= week_52_high for those at it; 1.5 for twice the rush; >= 0.95 * for those that come near.
SELECT ticker, name, sector, currency, last_price, week_52_high, avg_volume_30, avg_volume_90, rsi_14, last_bar, quality_flags
FROM financial_screener.v_screener
WHERE last_price >= 0.98 * week_52_high
  AND avg_volume_30 >= 1.2 * avg_volume_90
  AND avg_volume_90 > 0
  AND NOT is_stale
ORDER BY last_price / week_52_high DESC, ticker
LIMIT 100;
