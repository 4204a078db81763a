-- Closed days that the vendor's details, which reach over a span, do not have any more.
DELETE FROM financial_screener.exchange_closed_days
WHERE exchange_id = %(exchange_id)s::smallint AND day BETWEEN %(first)s::date AND %(last)s::date
  AND NOT day = ANY (%(days)s::date[])
