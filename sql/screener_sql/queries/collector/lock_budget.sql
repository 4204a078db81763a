-- Nobody else leases or returns calls of the run until the transaction ends. Always before the day's row, wherever both are needed.
SELECT execution_id FROM financial_screener.execution_budgets WHERE execution_id = %(execution_id)s::text FOR UPDATE
