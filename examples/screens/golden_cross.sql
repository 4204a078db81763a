-- Golden cross: in the last ten sessions the mean of 50 closes has risen above that of 200, and is still there; price and slope confirm it,
-- and it trades on every session, so that the means are of prices that somebody paid.
-- Change it: golden_cross_bars = 0 for those of the last session; death_cross_bars, sma_50 < sma_200, last_price < sma_50 and slope < 0
-- for the death cross.
SELECT ticker, name, sector, currency, last_price, golden_cross_bars, sma_50, sma_200, slope, last_bar
FROM financial_screener.v_screener
WHERE golden_cross_bars <= 10                  -- 0: at the last bar
  AND sma_50 > sma_200
  AND last_price > sma_50
  AND slope > 0                                -- of the last 20 closes
  AND silent_bars_30 = 0
  AND NOT is_stale AND NOT is_flagged
ORDER BY golden_cross_bars, ticker
LIMIT 100;
