-- Days of a span that are no sessions after all.
DELETE FROM financial_screener.exchange_sessions
WHERE exchange_id = %(exchange_id)s::smallint AND session BETWEEN %(first)s::date AND %(last)s::date
  AND NOT session = ANY (%(days)s::date[])
