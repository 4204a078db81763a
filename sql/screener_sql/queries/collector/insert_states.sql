-- Every asset of an exchange has a state.
INSERT INTO financial_screener.asset_processing_state (asset_id, ticker)
SELECT id, ticker FROM financial_screener.assets
WHERE exchange_id = %(exchange_id)s::smallint
ON CONFLICT (asset_id) DO NOTHING
