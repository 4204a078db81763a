-- The symbol list of an exchange was read and believed.
UPDATE financial_screener.exchanges
SET listed_at = now(), listed_rows = %(rows)s::integer, listed_types = %(types)s::text[], believe_next_list = false
WHERE id = %(exchange_id)s::smallint
