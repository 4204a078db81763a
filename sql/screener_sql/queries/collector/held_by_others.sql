-- Calls of the present GMT day that other living workers hold leased and have not spent; they may give some back.
SELECT today.day, coalesce(sum(lease.calls - lease.calls_spent), 0)::integer AS calls
FROM (
    SELECT ((clock_timestamp() + coalesce((SELECT clock_skew FROM financial_screener.vendor_account), interval '0')) AT TIME ZONE 'UTC')::date AS day
) AS today
LEFT JOIN financial_screener.api_leases AS lease
    ON (lease.day = today.day OR lease.day = today.day + 1 AND lease.also_day = today.day) AND lease.closed_at IS NULL
   AND lease.worker_id <> %(worker_id)s::integer AND financial_screener.worker_is_alive(lease.worker_id)
   AND (NOT %(of_run)s::boolean OR lease.execution_id = %(execution_id)s::text)
   AND NOT EXISTS (SELECT FROM financial_screener.api_daily_quota AS quota WHERE quota.day = today.day AND quota.spent)
GROUP BY today.day
