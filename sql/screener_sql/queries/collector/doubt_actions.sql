-- What a bulk list says of these assets cannot be read: their own lists are asked for instead.
UPDATE financial_screener.asset_processing_state AS state
SET splits_checked_to = CASE WHEN %(kind)s::text = 'bulk_splits' THEN NULL ELSE state.splits_checked_to END,
    dividends_checked_to = CASE WHEN %(kind)s::text = 'bulk_dividends' THEN NULL ELSE state.dividends_checked_to END
FROM financial_screener.assets AS asset
WHERE asset.id = state.asset_id AND asset.exchange_id = %(exchange_id)s::smallint AND asset.code = ANY (%(codes)s::text[])
