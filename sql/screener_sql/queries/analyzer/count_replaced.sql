-- How many rows of each asset are there already.
SELECT asset_id, count(*)
FROM pg_temp.staged AS staged
JOIN financial_screener.technical_indicators AS stored USING (asset_id, calculation_date)
GROUP BY asset_id
