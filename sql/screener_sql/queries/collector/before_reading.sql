-- The ledger of the present GMT day as it is before the vendor's counter is asked for: what of each lease is known to be finished, and the
-- newest lease. Leases that are not named are finished altogether, or newer. Those of the day before are named while they are not finished.
SELECT today.day, clock_timestamp() AS sent_at, quota.leased_since_reading,
       (SELECT coalesce(max(id), 0) FROM financial_screener.api_leases WHERE day = today.day OR day = today.day + 1 AND also_day = today.day) AS newest,
       (SELECT coalesce(jsonb_object_agg(lease.id, lease.calls_spent - lease.calls_unknown), '{}')
        FROM financial_screener.api_leases AS lease
        WHERE (lease.day IN (today.day, today.day - 1) OR lease.day = today.day + 1 AND lease.also_day = today.day)
          AND (lease.closed_at IS NULL OR lease.calls_unknown > 0)) AS finished
FROM (
    SELECT ((clock_timestamp() + coalesce((SELECT clock_skew FROM financial_screener.vendor_account), interval '0'))
            AT TIME ZONE 'UTC')::date AS day
) AS today
LEFT JOIN financial_screener.api_daily_quota AS quota ON quota.day = today.day
