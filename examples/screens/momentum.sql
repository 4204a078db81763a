-- Momentum: a strong and still rising trend: the directional index says that it is strong, and up; MACD gains on its signal; the RSI is
-- in its upper half but not overheated.
-- Change it: adx >= 40 for the strongest trends; an RSI from 50 to 80 for more of them.
SELECT ticker, name, sector, currency, last_price, adx, dmi_plus, dmi_minus, macd_histogram, rsi_14, last_bar, quality_flags
FROM financial_screener.v_screener
WHERE adx >= 25
  AND dmi_plus > dmi_minus
  AND macd_histogram > 0
  AND rsi_14 BETWEEN 55 AND 75
  AND last_price > sma_200
  AND NOT is_stale
ORDER BY adx DESC, ticker
LIMIT 100;
