-- Nobody else leases or returns calls of the day until the transaction ends.
SELECT day FROM financial_screener.api_daily_quota WHERE day = %(day)s::date FOR UPDATE
