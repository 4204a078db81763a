-- Closes a lease and gives back what was not spent, to its day and to its run; their rows are locked before.
WITH closed AS (
    UPDATE financial_screener.api_leases
    SET calls_spent = %(spent)s::integer, closed_at = now()
    WHERE id = %(lease_id)s::bigint AND closed_at IS NULL
    RETURNING day, execution_id, calls - calls_spent AS unspent
), budget AS (
    UPDATE financial_screener.execution_budgets AS budget
    SET calls_used = greatest(budget.calls_used - closed.unspent, 0)
    FROM closed WHERE budget.execution_id = closed.execution_id
)
UPDATE financial_screener.api_daily_quota AS quota
SET calls_used = greatest(quota.calls_used - closed.unspent, 0)
FROM closed WHERE quota.day = closed.day
