-- The vendor has another limit of requests a minute than it had.
UPDATE financial_screener.vendor_account SET requests_per_minute = %(requests_per_minute)s::integer
WHERE requests_per_minute <> %(requests_per_minute)s::integer
