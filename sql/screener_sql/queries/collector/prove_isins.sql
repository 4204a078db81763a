-- A list that is believed has shown the codes of listed assets as theirs, so what fundamentals have said by these codes is of them.
UPDATE financial_screener.assets SET isin_unproved = false
WHERE exchange_id = %(exchange_id)s::smallint AND isin_unproved AND listed
