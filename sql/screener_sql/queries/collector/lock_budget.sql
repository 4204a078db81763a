-- Nobody else leases or returns calls of the run until the transaction ends. Always before days, wherever both are needed.
SELECT execution_id FROM financial_screener.execution_budgets WHERE execution_id = %(execution_id)s::text FOR UPDATE
