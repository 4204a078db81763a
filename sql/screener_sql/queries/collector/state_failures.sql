-- What went wrong with assets; counted: whether it says something about the asset.
UPDATE financial_screener.asset_processing_state AS state
SET last_error_at = now(), last_error_code = ended.error_code, last_error_message = ended.message,
    consecutive_failures = state.consecutive_failures + CASE WHEN ended.counted THEN 1 ELSE 0 END
FROM jsonb_to_recordset(%(ended)s::jsonb) AS ended (asset_id integer, error_code text, message text, counted boolean)
WHERE state.asset_id = ended.asset_id
