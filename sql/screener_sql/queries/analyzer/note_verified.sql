-- What the chunks' samples have shown so far: how many rows, and the largest deviation among them.
UPDATE financial_screener.slices
SET verified_rows = verified_rows + %(rows)s::integer, deviation = greatest(deviation, %(deviation)s::double precision)
WHERE execution_id = %(execution_id)s::text AND kind = 'indicators' AND name = 'indicators'
