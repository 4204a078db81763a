-- Nobody else leases or returns calls of the day until the transaction ends. Always after the run's row, wherever both are needed.
SELECT day FROM financial_screener.api_daily_quota WHERE day = %(day)s::date FOR UPDATE
