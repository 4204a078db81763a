-- Histories of these assets are asked for in this run, without an item, unless they were asked for or are about to be.
INSERT INTO financial_screener.plan_fetches
    (execution_id, group_name, ordinal, kind, exchange_id, asset_id, date_from, date_to, calls)
SELECT %(execution_id)s::text, %(slice)s::text, 500000, 'prices', asset.exchange_id, asset.id,
       least(state.prices_checked_from, state.prices_first_date), greatest(state.prices_checked_to, state.prices_last_date), %(calls)s::integer
FROM financial_screener.asset_processing_state AS state
JOIN financial_screener.assets AS asset ON asset.id = state.asset_id
WHERE state.asset_id = ANY (%(asset_ids)s::integer[]) AND state.prices_last_date IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM financial_screener.plan_fetches AS request
      WHERE request.execution_id = %(execution_id)s::text AND request.asset_id = asset.id AND request.kind = 'prices'
        AND request.state IN ('planned', 'claimed', 'done')
  )
ORDER BY asset.id
RETURNING asset_id
