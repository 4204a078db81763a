-- Gives back what the worker has claimed and not done.
UPDATE financial_screener.plan_fetches
SET state = 'planned', worker_id = NULL, claimed_at = NULL
WHERE execution_id = %(execution_id)s::text AND group_name = %(slice)s::text
  AND state = 'claimed' AND worker_id = %(worker_id)s::integer
