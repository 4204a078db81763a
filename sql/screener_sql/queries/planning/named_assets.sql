-- The assets of an exchange that a group names, of whatever type, listed or not, and their currencies.
SELECT asset.id, asset.currency
FROM financial_screener.assets AS asset
JOIN financial_screener.exchanges AS exchange ON exchange.id = asset.exchange_id
WHERE exchange.code = %(exchange)s::text AND asset.code = ANY (%(symbols)s::text[]) AND asset.kind = 'listing'
