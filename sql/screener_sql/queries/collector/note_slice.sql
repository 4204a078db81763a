-- A sentence for the run's message, once.
UPDATE financial_screener.slices
SET notes = notes || %(note)s::text
WHERE execution_id = %(execution_id)s::text AND kind = %(kind)s::text AND name = %(slice)s::text
  AND NOT %(note)s::text = ANY (notes)
