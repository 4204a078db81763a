-- The assets of an exchange that wait for its bulk days in this run, by code.
SELECT asset.code, asset.id
FROM financial_screener.plan_items AS item
JOIN financial_screener.assets AS asset ON asset.id = item.asset_id
WHERE item.execution_id = %(execution_id)s::text AND item.exchange_id = %(exchange_id)s::smallint
  AND item.way = 'bulk' AND item.state = 'planned'
