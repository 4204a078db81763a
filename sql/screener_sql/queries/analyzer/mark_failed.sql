-- Failures that are the asset's own.
UPDATE financial_screener.asset_processing_state AS state
SET last_error_at = now(),
    last_error_code = failed.error_code,
    last_error_message = failed.message,
    indicators_failures = state.indicators_failures + 1
FROM unnest(%(asset_ids)s::integer[], %(error_codes)s::text[], %(messages)s::text[]) AS failed (asset_id, error_code, message)
WHERE state.asset_id = failed.asset_id
