-- What the vendor says of the account.
INSERT INTO financial_screener.vendor_account (daily_limit, extra_limit, read_at)
VALUES (%(vendor_limit)s::integer, %(extra_limit)s::integer, now())
ON CONFLICT (only_row) DO UPDATE
SET daily_limit = excluded.daily_limit, extra_limit = excluded.extra_limit, read_at = now()
