-- The detail rows of the items that the plan itself ended.
INSERT INTO financial_screener.asset_processing_details
    (execution_id, asset_id, ticker, operation, status, error_code, error_message, completed_at, duration_ms)
SELECT item.execution_id, item.asset_id, asset.ticker, item.operation, item.state, item.error_code, item.message, now(), 0
FROM financial_screener.plan_items AS item
JOIN financial_screener.assets AS asset ON asset.id = item.asset_id
WHERE item.execution_id = %(execution_id)s::text AND item.state IN ('skipped', 'deferred')
