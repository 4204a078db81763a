-- Nobody else compares a list of the exchange until the transaction ends.
SELECT id FROM financial_screener.exchanges WHERE id = %(exchange_id)s::smallint FOR UPDATE
