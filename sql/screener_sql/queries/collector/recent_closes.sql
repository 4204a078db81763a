-- The latest closes of an asset before a day; NULL: whatever their day.
SELECT date, close
FROM financial_screener.stock_prices
WHERE asset_id = %(asset_id)s::integer AND date < coalesce(%(before)s::date, 'infinity')
ORDER BY date DESC
LIMIT %(count)s::integer
