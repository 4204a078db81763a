-- The vendor's plan has no bulk days (or no pages of fundamentals): no open one of the exchange is sent any more.
UPDATE financial_screener.plan_fetches
SET state = 'failed', error_code = %(error_code)s::text, message = %(message)s::text, finished_at = now()
WHERE execution_id = %(execution_id)s::text AND exchange_id = %(exchange_id)s::smallint AND kind LIKE 'bulk%%'
  AND (kind = 'bulk_fundamentals') = %(pages)s::boolean
  AND (state = 'planned' OR state = 'claimed' AND worker_id = %(worker_id)s::integer)
RETURNING id, kind, purpose
