-- Closes leases. What was never sent goes back to the run, and to the days as returned: it is leased again first. Locked before.
WITH closed AS (
    UPDATE financial_screener.api_leases AS lease
    SET calls_spent = spending.spent, calls_unknown = spending.unknown, closed_at = now()
    FROM unnest(%(ids)s::bigint[], %(spent)s::integer[], %(unknown)s::integer[]) AS spending (id, spent, unknown)
    WHERE lease.id = spending.id AND lease.closed_at IS NULL
    RETURNING lease.day, lease.also_day, lease.execution_id, lease.calls - lease.calls_spent AS unspent
), budget AS (
    UPDATE financial_screener.execution_budgets AS budget
    SET calls_used = greatest(budget.calls_used - closed.unspent, 0)
    FROM (SELECT execution_id, sum(unspent) AS unspent FROM closed GROUP BY execution_id) AS closed
    WHERE budget.execution_id = closed.execution_id
)
UPDATE financial_screener.api_daily_quota AS quota
SET calls_returned = least(quota.calls_returned + closed.unspent, quota.calls_used)
FROM (
    SELECT charged.day, sum(closed.unspent) AS unspent
    FROM closed CROSS JOIN LATERAL unnest(ARRAY[closed.day, closed.also_day]) AS charged (day)
    GROUP BY charged.day
) AS closed
WHERE quota.day = closed.day
