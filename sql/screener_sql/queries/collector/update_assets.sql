-- What a list says of assets that it has.
UPDATE financial_screener.assets AS asset
SET name = listing.name, type = listing.type, currency = listing.currency, country = listing.country, isin = listing.isin,
    listed = true, delisted_at = NULL
FROM jsonb_to_recordset(%(listings)s::jsonb)
    AS listing (id integer, name text, type text, currency text, country text, isin text)
WHERE asset.id = listing.id
