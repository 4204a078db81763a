-- Gives back what this worker has claimed and not done.
UPDATE financial_screener.plan_items
SET worker_id = NULL
WHERE execution_id = %(execution_id)s::text AND worker_id = %(worker_id)s::integer AND state = 'planned'
