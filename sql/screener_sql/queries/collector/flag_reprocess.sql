-- These assets' histories must be fetched again before their indicators count as current.
UPDATE financial_screener.asset_processing_state AS state
SET needs_prices_reprocess = true
WHERE state.asset_id = ANY (%(asset_ids)s::integer[])
