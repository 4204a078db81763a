-- The spec of the run, defaults applied; NULL where there is no such execution.
SELECT parameters -> 'spec' AS spec FROM financial_screener.process_executions WHERE execution_id = %(execution_id)s::text
