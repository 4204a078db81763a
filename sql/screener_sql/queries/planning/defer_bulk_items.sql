-- Defers the items of an exchange whose bulk days do not fit.
UPDATE financial_screener.plan_items
SET state = 'deferred', planned = false, error_code = %(error_code)s::text, message = %(message)s::text, finished_at = now()
WHERE execution_id = %(execution_id)s::text AND exchange_id = %(exchange_id)s::smallint AND way = 'bulk' AND state = 'planned'
