-- Sets the ledger of a day by a reading of the vendor's counter: what it shows, and all that was reserved since the reading was sent, or was
-- not known to be finished by then (before_reading). A reading that was sent before the latest one changes nothing.
WITH before AS (
    SELECT entry.key::bigint AS id, entry.value::integer AS finished FROM jsonb_each_text(%(finished)s::jsonb) AS entry
), ours AS (
    SELECT coalesce(sum(
               financial_screener.unfinished_calls(lease)
               + CASE WHEN before.id IS NOT NULL THEN lease.calls_spent - lease.calls_unknown - before.finished
                      WHEN lease.id > %(newest)s::bigint THEN lease.calls_spent - lease.calls_unknown
                      ELSE 0 END)
               FILTER (WHERE before.id IS NOT NULL OR lease.id > %(newest)s::bigint), 0) AS unfinished,
           coalesce(sum(CASE WHEN lease.closed_at IS NULL THEN lease.calls ELSE lease.calls_spent END), 0) AS most
    FROM financial_screener.api_leases AS lease
    LEFT JOIN before USING (id)
    WHERE lease.day = %(day)s::date OR lease.day = %(day)s::date + 1 AND lease.also_day = %(day)s::date
       OR lease.day = %(day)s::date - 1 AND before.id IS NOT NULL
)
UPDATE financial_screener.api_daily_quota AS quota
SET calls_used = %(vendor_used)s::integer + ours.unfinished,
    calls_returned = 0,
    calls_limit = least(%(vendor_limit)s::integer, %(daily_limit)s::integer),
    extra_calls = CASE WHEN %(daily_limit)s::integer >= %(vendor_limit)s::integer
        THEN greatest(%(vendor_used)s::integer - %(vendor_limit)s::integer, 0) + %(extra_limit)s::integer ELSE 0 END,
    vendor_used = %(vendor_used)s::integer,
    vendor_read_at = %(sent_at)s::timestamptz,
    others_used = greatest(quota.others_used, %(vendor_used)s::integer - ours.most),
    shared = quota.shared OR %(vendor_used)s::integer > ours.most,
    leased_since_reading = greatest(quota.leased_since_reading - %(leased_since_reading)s::integer, 0),
    reader_id = NULL,
    reader_since = NULL
FROM ours
WHERE quota.day = %(day)s::date AND (quota.vendor_read_at IS NULL OR quota.vendor_read_at < %(sent_at)s::timestamptz)
RETURNING quota.calls_used, quota.others_used
