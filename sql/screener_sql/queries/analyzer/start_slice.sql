-- Notes that the slice has begun and returns whether it has ended already; no row: there is no such slice.
UPDATE financial_screener.slices
SET started_at = coalesce(started_at, now())
WHERE execution_id = %(execution_id)s::text AND kind = 'indicators' AND name = 'indicators'
RETURNING finished_at IS NOT NULL, verified, message
