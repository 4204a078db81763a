-- Nobody else leases or returns calls of the days until the transaction ends. Always after the run's row, wherever both are needed.
SELECT day FROM financial_screener.api_daily_quota WHERE day = ANY (%(days)s::date[]) ORDER BY day FOR UPDATE
