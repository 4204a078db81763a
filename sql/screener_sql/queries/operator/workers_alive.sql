-- How many workers of a run are alive: they may still store what they have.
SELECT count(*)::integer
FROM financial_screener.workers
WHERE execution_id = %(execution_id)s::text AND ended_at IS NULL AND financial_screener.worker_is_alive(id)
