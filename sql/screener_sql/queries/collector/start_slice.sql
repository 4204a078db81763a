-- The slice begins, or goes on; returns how it ended if it has.
UPDATE financial_screener.slices
SET started_at = coalesce(started_at, now())
WHERE execution_id = %(execution_id)s::text AND kind = %(kind)s::text AND name = %(slice)s::text
RETURNING finished_at, reason
