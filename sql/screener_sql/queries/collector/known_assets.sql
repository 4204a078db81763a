-- The assets of an exchange, as its symbol list is compared with them.
SELECT id, code, name, type, currency, country, isin, listed
FROM financial_screener.assets
WHERE exchange_id = %(exchange_id)s::smallint AND kind = 'listing'
