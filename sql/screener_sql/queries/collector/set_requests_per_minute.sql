-- The vendor has another limit of requests a minute than it had, from the present minute on. The next slot keeps its time, and waits for
-- room in the minute: what was given out under a higher limit counts under the lower one, but keeps no other minute from having its slots.
WITH account AS (
    INSERT INTO financial_screener.vendor_account (requests_per_minute) VALUES (%(requests_per_minute)s::integer)
    ON CONFLICT (only_row) DO UPDATE SET requests_per_minute = excluded.requests_per_minute
    RETURNING clock_skew, greatest(1, floor(0.975 * requests_per_minute)::integer) AS slots
)
UPDATE financial_screener.api_request_minutes AS present
SET requests_limit = account.slots,
    next_slot = greatest(ceil(present.next_slot::float8 * account.slots / present.requests_limit),
                         least(present.requests_used, account.slots))
FROM account
WHERE present.minute >= date_trunc('minute', clock_timestamp() + account.clock_skew, 'UTC')
  AND present.requests_limit <> account.slots
