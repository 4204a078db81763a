-- Golden cross: the mean of 50 closes has come above that of 200 and is still within 2 % of it, so the cross is recent; price and slope
-- confirm it.
-- Change it: 1.01 for fresher crosses; sma_50 < sma_200 and >= 0.98 of it, last_price < sma_50 and slope < 0 for the death cross.
SELECT ticker, name, sector, currency, last_price, sma_50, sma_200, slope, last_bar, quality_flags
FROM financial_screener.v_screener
WHERE sma_50 > sma_200
  AND sma_50 <= 1.02 * sma_200
  AND last_price > sma_50
  AND slope > 0                                -- of the last 20 closes
  AND NOT is_stale
ORDER BY sma_50 / sma_200, ticker
LIMIT 100;
