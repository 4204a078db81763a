-- The open executions of a namespace.
SELECT execution_id, run_name
FROM financial_screener.process_executions
WHERE status = 'running' AND namespace = %(namespace)s::text
ORDER BY started_at
