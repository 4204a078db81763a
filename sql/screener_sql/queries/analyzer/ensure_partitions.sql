-- Makes the partitions that rows of these dates, and details written now, go to.
SELECT financial_screener.ensure_partitions(least(%(first_day)s::date, current_date), greatest(%(last_day)s::date, current_date))
