-- Listings that are new.
INSERT INTO financial_screener.assets (code, exchange_id, ticker, name, type, currency, country, isin)
SELECT listing.code, exchange.id, listing.code || '.' || exchange.code, listing.name, listing.type, listing.currency, listing.country,
       listing.isin
FROM jsonb_to_recordset(%(listings)s::jsonb) AS listing (code text, name text, type text, currency text, country text, isin text)
JOIN financial_screener.exchanges AS exchange ON exchange.id = %(exchange_id)s::smallint
ORDER BY listing.code
ON CONFLICT (code, exchange_id) DO NOTHING
