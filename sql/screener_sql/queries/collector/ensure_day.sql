-- The ledger row of the present GMT day, with the lower of the vendor's limit and our own.
INSERT INTO financial_screener.api_daily_quota (day, calls_limit)
SELECT (now() AT TIME ZONE 'UTC')::date,
       least(%(daily_limit)s::integer, (SELECT daily_limit FROM financial_screener.vendor_account))
ON CONFLICT (day) DO NOTHING
