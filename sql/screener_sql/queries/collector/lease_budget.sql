-- Reserves calls of what the run may use; no row: it does not reach.
UPDATE financial_screener.execution_budgets
SET calls_used = calls_used + %(calls)s::integer
WHERE execution_id = %(execution_id)s::text AND (max_calls IS NULL OR calls_used + %(calls)s::integer <= max_calls)
RETURNING keep_calls
