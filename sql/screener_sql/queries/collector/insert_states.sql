-- Every asset of an exchange has a state.
INSERT INTO financial_screener.asset_processing_state (asset_id, ticker)
SELECT asset.id, asset.ticker
FROM financial_screener.assets AS asset
WHERE asset.exchange_id = %(exchange_id)s::smallint
  AND NOT EXISTS (SELECT FROM financial_screener.asset_processing_state AS state WHERE state.asset_id = asset.id)
ON CONFLICT (asset_id) DO NOTHING
