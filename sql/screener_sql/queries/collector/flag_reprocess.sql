-- These assets' histories must be fetched again before their indicators count as current.
UPDATE financial_screener.asset_processing_state AS state
SET needs_prices_reprocess = true
FROM (
    SELECT asset_id FROM financial_screener.asset_processing_state
    WHERE asset_id = ANY (%(asset_ids)s::integer[]) ORDER BY asset_id FOR UPDATE
) AS flagged
WHERE state.asset_id = flagged.asset_id
