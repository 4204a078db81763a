-- The symbol list of an exchange was read and believed.
UPDATE financial_screener.exchanges
SET listed_at = now(), listed_rows = %(rows)s::integer, listed_types = %(types)s::text[]
WHERE id = %(exchange_id)s::smallint
