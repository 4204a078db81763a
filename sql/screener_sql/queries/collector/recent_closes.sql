-- The latest closes of an asset.
SELECT date, close
FROM financial_screener.stock_prices
WHERE asset_id = %(asset_id)s::integer
ORDER BY date DESC
LIMIT %(count)s::integer
