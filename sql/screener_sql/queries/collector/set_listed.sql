-- The symbol list of an exchange was read and believed.
UPDATE financial_screener.exchanges SET listed_at = now() WHERE id = %(exchange_id)s::smallint
