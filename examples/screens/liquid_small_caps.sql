-- Liquid small caps: companies of 300 million to 2 billion USD of whose shares a million USD and more is traded a day, so that one gets
-- out again. What a share is worth in USD is the market capitalisation by the shares, whatever unit its price is in.
-- Change it: the two bounds; 250e3 a day for micro caps.
SELECT ticker, name, sector, currency, last_price, market_cap_usd, avg_volume_30,
       avg_volume_30 * market_cap_usd / shares_outstanding AS traded_usd, last_bar, quality_flags
FROM financial_screener.v_screener
WHERE market_cap_usd BETWEEN 300e6 AND 2e9
  AND shares_outstanding > 0
  AND avg_volume_30 * market_cap_usd >= 1e6 * shares_outstanding
  AND NOT is_stale
ORDER BY traded_usd DESC, ticker
LIMIT 100;
