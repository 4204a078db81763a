-- The execution of a run.
SELECT status, started_at, planned_at, completed_at, error_details ->> 'reason' AS reason, error_details ->> 'message' AS message, schedule
FROM financial_screener.process_executions
WHERE execution_id = %(execution_id)s::text
