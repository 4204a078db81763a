-- Where a calendar of the library is known to be wrong.
SELECT first_day, last_day, closes FROM financial_screener.calendar_corrections WHERE calendar = %(calendar)s::text
