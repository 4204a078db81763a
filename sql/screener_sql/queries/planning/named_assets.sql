-- The assets of an exchange that a group names, of whatever type, listed or not.
SELECT asset.id
FROM financial_screener.assets AS asset
JOIN financial_screener.exchanges AS exchange ON exchange.id = asset.exchange_id
WHERE exchange.code = %(exchange)s::text AND asset.code = ANY (%(symbols)s::text[]) AND asset.kind = 'listing'
