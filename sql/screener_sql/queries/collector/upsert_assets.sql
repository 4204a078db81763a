-- Assets of a symbol list. What fundamentals know better is left when the list says nothing.
INSERT INTO financial_screener.assets AS asset (code, exchange_id, ticker, name, type, currency, country, isin)
SELECT listing.code, exchange.id, listing.code || '.' || exchange.code, listing.name, listing.type, listing.currency, listing.country,
       listing.isin
FROM jsonb_to_recordset(%(listings)s::jsonb) AS listing (code text, name text, type text, currency text, country text, isin text)
JOIN financial_screener.exchanges AS exchange ON exchange.id = %(exchange_id)s::smallint
ORDER BY listing.code
ON CONFLICT (code, exchange_id) DO UPDATE
SET name = coalesce(excluded.name, asset.name), type = coalesce(excluded.type, asset.type),
    currency = coalesce(excluded.currency, asset.currency), country = coalesce(excluded.country, asset.country),
    isin = coalesce(excluded.isin, asset.isin), listed = true, delisted_at = NULL
WHERE (asset.name, asset.type, asset.currency, asset.country, asset.isin, asset.listed) IS DISTINCT FROM
      (coalesce(excluded.name, asset.name), coalesce(excluded.type, asset.type), coalesce(excluded.currency, asset.currency),
       coalesce(excluded.country, asset.country), coalesce(excluded.isin, asset.isin), true)
