-- A sentence for the run's message, at these groups.
UPDATE financial_screener.slices
SET notes = notes || %(note)s::text
WHERE execution_id = %(execution_id)s::text AND kind = 'group' AND name = ANY (%(groups)s::text[])
