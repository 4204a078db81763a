-- Sets or clears what is doubtful about an exchange; a row only where that changed something.
UPDATE financial_screener.exchanges
SET flags = CASE WHEN %(doubtful)s::boolean THEN flags || %(flag)s::text ELSE array_remove(flags, %(flag)s::text) END
WHERE id = %(exchange_id)s::smallint AND (%(flag)s::text = ANY (flags)) <> %(doubtful)s::boolean
RETURNING id
