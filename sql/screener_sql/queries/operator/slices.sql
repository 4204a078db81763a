-- The slices of a run, in order.
SELECT kind, name, ordinal, started_at, finished_at, reason, message, notes, waiting_reason, waiting_since, verified
FROM financial_screener.slices
WHERE execution_id = %(execution_id)s::text
ORDER BY kind, ordinal, name
