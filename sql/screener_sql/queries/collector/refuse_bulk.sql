-- The vendor's plan has no bulk days: no open bulk fetch of the exchange is sent any more.
UPDATE financial_screener.plan_fetches
SET state = 'failed', error_code = %(error_code)s::text, message = %(message)s::text, finished_at = now()
WHERE execution_id = %(execution_id)s::text AND exchange_id = %(exchange_id)s::smallint AND kind LIKE 'bulk%%'
  AND (state = 'planned' OR state = 'claimed' AND worker_id = %(worker_id)s::integer)
RETURNING kind
