-- What the vendor says of the account.
INSERT INTO financial_screener.vendor_account (daily_limit, requests_per_minute, read_at)
VALUES (%(daily_limit)s::integer, coalesce(%(requests_per_minute)s::integer, 1000), now())
ON CONFLICT (only_row) DO UPDATE
SET daily_limit = excluded.daily_limit,
    requests_per_minute = coalesce(%(requests_per_minute)s::integer, vendor_account.requests_per_minute),
    read_at = now()
