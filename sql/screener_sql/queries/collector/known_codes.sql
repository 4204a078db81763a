-- The codes of an exchange's assets.
SELECT code FROM financial_screener.assets WHERE exchange_id = %(exchange_id)s::smallint
