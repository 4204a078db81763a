-- Partitions for the detail rows that the run will write.
SELECT financial_screener.ensure_partitions((%(now)s::timestamptz AT TIME ZONE 'UTC')::date, (%(now)s::timestamptz AT TIME ZONE 'UTC')::date + 62)
