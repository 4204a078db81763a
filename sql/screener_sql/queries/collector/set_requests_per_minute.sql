-- The vendor has another limit of requests a minute than it had, from the present minute on.
WITH account AS (
    INSERT INTO financial_screener.vendor_account (requests_per_minute) VALUES (%(requests_per_minute)s::integer)
    ON CONFLICT (only_row) DO UPDATE SET requests_per_minute = excluded.requests_per_minute
    RETURNING clock_skew
)
UPDATE financial_screener.api_request_minutes AS present
SET requests_limit = greatest(1, floor(0.975 * %(requests_per_minute)s::integer))
FROM account
WHERE present.minute >= date_trunc('minute', clock_timestamp() + account.clock_skew, 'UTC')
