-- Adds to the order the histories that were fetched longest ago, of assets whose history is not fetched anyway; how many these are. step: 5
INSERT INTO ordered (step, numbers)
SELECT 5, ARRAY(
    SELECT state.asset_id::bigint << 3
    FROM financial_screener.assets_in_scope(%(exchange_ids)s::smallint[], %(named)s::integer[], %(asset_types)s::text[]) AS state
    WHERE state.prices_loaded AND (state.prices_refreshed_at IS NULL OR state.prices_refreshed_at < %(today)s::timestamptz)
      AND (greatest(state.prices_next_attempt_at, state.actions_next_attempt_at, state.fundamentals_next_attempt_at)
           > %(now)s::timestamptz) IS NOT TRUE
      AND state.asset_id NOT IN (
          SELECT (alone.number >> 3 & 2147483647)::integer
          FROM (SELECT unnest(numbers) AS number FROM ordered WHERE step = 1) AS alone
          WHERE alone.number & 1 = 1
      )
    ORDER BY state.prices_refreshed_at NULLS FIRST
    LIMIT %(count)s::integer
)
RETURNING cardinality(numbers)
