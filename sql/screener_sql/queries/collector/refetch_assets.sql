-- Assets whose stored history may be in another unit or another company's: it is fetched again before their indicators are current.
UPDATE financial_screener.asset_processing_state
SET needs_prices_reprocess = true
WHERE asset_id = ANY (%(asset_ids)s::integer[]) AND prices_loaded
