-- When the execution was planned; NULL while it was not. Locks the row, so that a second planner waits and then sees it.
SELECT planned_at FROM financial_screener.process_executions WHERE execution_id = %(execution_id)s::text FOR UPDATE
