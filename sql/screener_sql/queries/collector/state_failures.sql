-- What went wrong with assets, maybe with several items of one; counted: whether it says something about the asset. Then the same is not
-- tried again before the next GMT day, and twice as long after each further failure of it, up to 32 days.
UPDATE financial_screener.asset_processing_state AS state
SET last_error_at = now(), last_error_code = latest.error_code, last_error_message = latest.message,
    prices_failures = state.prices_failures + latest.prices_failed::integer,
    fundamentals_failures = state.fundamentals_failures + latest.fundamentals_failed::integer,
    prices_next_attempt_at = CASE WHEN latest.prices_failed THEN pause.of_prices ELSE state.prices_next_attempt_at END,
    fundamentals_next_attempt_at = CASE WHEN latest.fundamentals_failed THEN pause.of_fundamentals ELSE state.fundamentals_next_attempt_at END
FROM (
    SELECT DISTINCT ON (ended.asset_id) ended.asset_id, ended.error_code, ended.message,
           coalesce(bool_or(item.operation LIKE 'prices%%') FILTER (WHERE ended.counted) OVER of_asset, false) AS prices_failed,
           coalesce(bool_or(item.operation LIKE 'fundamentals%%') FILTER (WHERE ended.counted) OVER of_asset, false) AS fundamentals_failed
    FROM jsonb_to_recordset(%(ended)s::jsonb) AS ended (asset_id integer, error_code text, message text, counted boolean, item_id bigint)
    JOIN financial_screener.plan_items AS item ON item.id = ended.item_id
    WINDOW of_asset AS (PARTITION BY ended.asset_id)
    ORDER BY ended.asset_id, ended.item_id DESC
) AS latest
JOIN financial_screener.asset_processing_state AS before USING (asset_id)
CROSS JOIN LATERAL (
    SELECT date_trunc('day', now(), 'UTC') + interval '1 day' * least(power(2, before.prices_failures), 32) AS of_prices,
           date_trunc('day', now(), 'UTC') + interval '1 day' * least(power(2, before.fundamentals_failures), 32) AS of_fundamentals
) AS pause
WHERE state.asset_id = latest.asset_id
