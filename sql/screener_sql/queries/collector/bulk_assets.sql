-- The assets of an exchange that wait for its bulk days in this run, by code; without those whose whole history was asked for later.
SELECT asset.code, asset.id
FROM financial_screener.plan_items AS item
JOIN financial_screener.assets AS asset ON asset.id = item.asset_id
JOIN financial_screener.asset_processing_state AS state ON state.asset_id = item.asset_id
WHERE item.execution_id = %(execution_id)s::text AND item.exchange_id = %(exchange_id)s::smallint
  AND item.way = 'bulk' AND item.operation LIKE 'prices%%' AND item.state = 'planned'
  AND coalesce(state.prices_refreshed_at < %(asked_at)s::timestamptz, true)
