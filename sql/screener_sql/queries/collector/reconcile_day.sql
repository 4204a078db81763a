-- Sets the ledger of the day by the vendor's counter. Besides what that shows: what the live workers may have spent since, or may still
-- spend. before: {"<lease id>": [spent, may_spend]} as it was before the vendor was asked; a lease that was not open then, and not new, is in
-- the counter. Leases of the dead are in it too, and closed.
WITH dead AS (
    UPDATE financial_screener.api_leases AS lease
    SET calls_spent = calls, closed_at = now()
    WHERE day = %(day)s::date AND closed_at IS NULL AND worker_id <> %(worker_id)s::integer
      AND NOT financial_screener.worker_is_alive(worker_id)
    RETURNING id
), outstanding AS (
    SELECT coalesce(sum(
        CASE
            WHEN before.spent IS NOT NULL AND NOT before.may_spend THEN 0
            WHEN lease.closed_at IS NOT NULL THEN lease.calls_spent
            ELSE lease.calls
        END
        - CASE WHEN before.spent IS NOT NULL AND before.may_spend THEN before.spent ELSE 0 END
    ), 0) AS calls
    FROM financial_screener.api_leases AS lease
    LEFT JOIN LATERAL (
        SELECT (entry.value ->> 0)::integer AS spent, (entry.value ->> 1)::boolean AS may_spend
        FROM jsonb_each(%(before)s::jsonb) AS entry
        WHERE entry.key = lease.id::text
    ) AS before ON true
    WHERE lease.day = %(day)s::date AND lease.worker_id <> %(worker_id)s::integer
)
UPDATE financial_screener.api_daily_quota AS quota
SET calls_used = %(vendor_used)s::integer + %(own_calls)s::integer + outstanding.calls,
    calls_limit = %(calls_limit)s::integer,
    vendor_used = %(vendor_used)s::integer + %(own_calls)s::integer,
    vendor_read_at = now(),
    -- Nothing else takes it back that the vendor said the day is spent.
    spent = quota.spent AND %(vendor_used)s::integer + %(own_calls)s::integer >= %(vendor_limit)s::integer
FROM outstanding, (SELECT count(*) FROM dead) AS closed
WHERE quota.day = %(day)s::date
RETURNING quota.calls_used
