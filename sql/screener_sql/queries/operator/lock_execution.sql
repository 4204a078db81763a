-- Whether the execution is still open; holds its row until the transaction ends.
SELECT status = 'running' FROM financial_screener.process_executions WHERE execution_id = %(execution_id)s::text FOR UPDATE
