-- Oversold in an uptrend: the long trend is up (price above its mean of 200 closes, that of 50 as well), and the last days were a setback.
-- Change it: rsi_14 <= 30 for the strict form; AND last_price <= bb_lower for those at the lower Bollinger band.
SELECT ticker, name, sector, currency, last_price, rsi_14, sma_50, sma_200, bb_lower, last_bar, quality_flags
FROM financial_screener.v_screener
WHERE rsi_14 <= 35
  AND last_price > sma_200
  AND sma_50 > sma_200
  AND NOT is_stale
ORDER BY rsi_14, ticker
LIMIT 100;
