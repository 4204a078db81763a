-- What went wrong with assets, maybe with several items of one; counted: whether it says something about the asset.
UPDATE financial_screener.asset_processing_state AS state
SET last_error_at = now(), last_error_code = latest.error_code, last_error_message = latest.message,
    consecutive_failures = state.consecutive_failures + latest.failures
FROM (
    SELECT DISTINCT ON (ended.asset_id) ended.asset_id, ended.error_code, ended.message,
           count(*) FILTER (WHERE ended.counted) OVER (PARTITION BY ended.asset_id) AS failures
    FROM jsonb_to_recordset(%(ended)s::jsonb) AS ended (asset_id integer, error_code text, message text, counted boolean, item_id bigint)
    ORDER BY ended.asset_id, ended.item_id DESC
) AS latest
WHERE state.asset_id = latest.asset_id
