-- The calls left of the GMT day, what the run must keep taken off and what it may use of purchased calls added; those left of what the run
-- may use (NULL: no bound); whether the day has calls that the run must keep; and what a later day may have for such a run. Days go by the
-- vendor's clock.
SELECT day.remaining - coalesce(budget.keep_calls, 0) AS day_left,
       budget.max_calls - budget.calls_used AS run_left,
       day.remaining > 0 AND coalesce(budget.keep_calls, 0) > 0 AS kept,
       least(day.most - coalesce(budget.keep_calls, 0), budget.max_calls) AS per_day
FROM (SELECT 1) AS one
LEFT JOIN financial_screener.vendor_account AS account ON true
LEFT JOIN financial_screener.api_daily_quota AS quota
    ON quota.day = ((%(now)s::timestamptz + coalesce(account.clock_skew, interval '0')) AT TIME ZONE 'UTC')::date
LEFT JOIN financial_screener.execution_budgets AS budget ON budget.execution_id = %(execution_id)s::text
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN quota.spent THEN 0
        ELSE coalesce(quota.calls_limit, account.daily_limit, 0) - coalesce(quota.calls_used - quota.calls_returned, 0)
             + CASE WHEN budget.use_extra THEN coalesce(quota.extra_calls, 0) ELSE 0 END
    END AS remaining,
    coalesce(quota.calls_limit, account.daily_limit, 0) AS most
) AS day
