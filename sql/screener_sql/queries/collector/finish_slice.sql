-- The slice ends when none of its fetches is open; returns a row when it has ended: just now, or before.
UPDATE financial_screener.slices
SET finished_at = coalesce(finished_at, now()), waiting_reason = NULL, waiting_since = NULL
WHERE execution_id = %(execution_id)s::text AND kind = %(kind)s::text AND name = %(slice)s::text
  AND NOT EXISTS (
      SELECT FROM financial_screener.plan_fetches
      WHERE execution_id = %(execution_id)s::text AND group_name = %(slice)s::text AND state IN ('planned', 'claimed')
  )
RETURNING finished_at = now() AS just_now
