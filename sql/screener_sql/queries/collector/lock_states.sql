-- Locks the states that a transaction is about to change, always in this order, so that two workers never wait for each other.
SELECT FROM financial_screener.asset_processing_state AS state
WHERE state.asset_id = ANY (%(asset_ids)s::integer[])
   OR state.asset_id IN (SELECT id FROM financial_screener.assets WHERE exchange_id = ANY (%(exchange_ids)s::smallint[]))
ORDER BY state.asset_id
FOR NO KEY UPDATE
