-- The partitions that bars of these days need.
SELECT financial_screener.ensure_partitions(%(first)s::date, %(last)s::date)
