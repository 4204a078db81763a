-- The assets of an exchange, as its symbol list is compared with them.
SELECT id, code, name, type, currency, country, CASE WHEN NOT isin_unproved THEN isin END AS isin, listed,
       CASE WHEN isin_unproved THEN isin END AS unproved_isin
FROM financial_screener.assets
WHERE exchange_id = %(exchange_id)s::smallint AND kind = 'listing'
