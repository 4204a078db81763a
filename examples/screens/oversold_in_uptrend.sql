-- Oversold in an uptrend: the long trend is up (price above its mean of 200 closes, that of 50 as well), and the last days were a setback.
-- Change it: rsi_14 <= 30 for the strict form; AND bb_percent <= 0 for those at the lower Bollinger band; AND rsi_rise_bars <= 3 and
-- without the RSI's bound for those that have turned.
SELECT ticker, name, sector, currency, last_price, rsi_14, sma_50, sma_200, bb_percent, return_5d, last_bar
FROM financial_screener.v_screener
WHERE rsi_14 <= 35
  AND last_price > sma_200
  AND sma_50 > sma_200
  AND silent_bars_30 = 0                       -- of a share that trades on every session
  AND NOT is_stale AND NOT is_flagged
ORDER BY rsi_14, ticker
LIMIT 100;
