-- Defers every fetch of the slice that nobody else alive works on.
UPDATE financial_screener.plan_fetches
SET state = 'deferred', error_code = %(error_code)s::text, message = %(message)s::text, finished_at = now()
WHERE execution_id = %(execution_id)s::text AND group_name = %(slice)s::text
  AND (state = 'planned'
       OR state = 'claimed' AND (worker_id = %(worker_id)s::integer OR NOT financial_screener.worker_is_alive(worker_id)))
RETURNING id, kind
