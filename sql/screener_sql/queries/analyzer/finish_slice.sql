-- Ends the slice once, when nothing of it is left; no row: another worker has ended it, or an item is open.
UPDATE financial_screener.slices
SET finished_at = now(), verified = %(verified)s::boolean, message = %(message)s::text
WHERE execution_id = %(execution_id)s::text AND kind = 'indicators' AND name = 'indicators' AND finished_at IS NULL
  AND NOT EXISTS (
      SELECT FROM financial_screener.plan_items WHERE execution_id = %(execution_id)s::text AND state = 'planned'
  )
RETURNING true
