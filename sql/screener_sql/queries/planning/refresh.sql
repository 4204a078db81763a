-- Adds to the order the histories that were fetched longest ago, of assets whose history is not fetched anyway; how many these are. step: 5
INSERT INTO ordered (step, assets)
SELECT 5, array_agg(oldest.asset_id ORDER BY oldest.prices_refreshed_at NULLS FIRST, oldest.asset_id)
FROM (
    SELECT state.asset_id, state.prices_refreshed_at
    FROM financial_screener.assets_in_scope(%(exchange_ids)s::smallint[], %(named)s::integer[], %(asset_types)s::text[]) AS state
    WHERE state.prices_loaded AND (state.prices_refreshed_at IS NULL OR state.prices_refreshed_at < %(today)s::timestamptz)
      AND (greatest(state.prices_next_attempt_at, state.actions_next_attempt_at, state.fundamentals_next_attempt_at)
           > %(now)s::timestamptz) IS NOT TRUE
      AND state.asset_id NOT IN (SELECT unnest(alone.assets) FROM ordered AS alone WHERE alone.step = 1)
    ORDER BY state.prices_refreshed_at NULLS FIRST
    LIMIT %(count)s::integer
) AS oldest
RETURNING coalesce(cardinality(assets), 0)
