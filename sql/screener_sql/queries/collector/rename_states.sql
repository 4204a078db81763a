-- The tickers of states are those of their assets.
UPDATE financial_screener.asset_processing_state AS state
SET ticker = asset.ticker
FROM financial_screener.assets AS asset
WHERE asset.id = state.asset_id AND asset.id = ANY (%(asset_ids)s::integer[]) AND state.ticker <> asset.ticker
