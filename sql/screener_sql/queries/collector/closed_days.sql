-- Closed days of an exchange by the vendor's details.
SELECT day FROM financial_screener.exchange_closed_days WHERE exchange_id = %(exchange_id)s::smallint
