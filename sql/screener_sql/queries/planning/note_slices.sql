-- A sentence for the run's message, at the groups that have assets of these exchanges.
UPDATE financial_screener.slices AS slice
SET notes = slice.notes || %(note)s::text
WHERE slice.execution_id = %(execution_id)s::text AND slice.kind = 'group'
  AND slice.name IN (SELECT delta.group_name FROM delta WHERE delta.exchange_id = ANY (%(exchanges)s::smallint[]))
