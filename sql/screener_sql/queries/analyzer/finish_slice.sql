-- Ends the slice once, when nothing of it is left; no row: another worker has ended it, or an item is open.
UPDATE financial_screener.slices
SET finished_at = now(), verified = coalesce(verified, true), message = CASE WHEN verified IS FALSE THEN message ELSE concat_ws(
        '; ',
        CASE WHEN verified_rows = 0 THEN 'no row was stored that could be verified'
             ELSE verified_rows || ' stored rows, chosen at random, equal what ta and numpy give over their whole history' END,
        CASE WHEN verified_rows > 0 THEN 'largest deviation ' || trim(to_char(deviation, '9.9EEEE')) END
    ) END
WHERE execution_id = %(execution_id)s::text AND kind = 'indicators' AND name = 'indicators' AND finished_at IS NULL
  AND NOT EXISTS (
      SELECT FROM financial_screener.plan_items WHERE execution_id = %(execution_id)s::text AND state = 'planned'
  )
RETURNING verified, message
