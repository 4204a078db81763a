-- Quality: high returns on equity and on assets (so not by debt alone), good margins, and sales that grow.
-- Change it: AND pe_ratio > 0 AND pe_ratio <= 25 for quality at a price; AND volatility <= 30 for calm ones.
SELECT ticker, name, sector, currency, last_price, return_on_equity_ttm, return_on_assets_ttm, operating_margin_ttm,
       quarterly_revenue_growth_yoy, pe_ratio, return_12m, last_bar
FROM financial_screener.v_screener
WHERE return_on_equity_ttm >= 0.15             -- fractions: 15 %
  AND return_on_assets_ttm >= 0.06
  AND operating_margin_ttm >= 0.15
  AND quarterly_revenue_growth_yoy > 0
  AND NOT is_stale AND NOT is_flagged
ORDER BY return_on_equity_ttm DESC, ticker
LIMIT 100;
