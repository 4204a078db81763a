-- Fails the items that nobody works on any more, each with its detail row and, on its asset, the error; that is not the asset's fault,
-- so its failures are not counted up. messages: {"<group>": "why"}
WITH failed AS (
    UPDATE financial_screener.plan_items AS item
    SET state = 'failed', finished_at = now(), error_code = 'group_not_finished',
        message = coalesce(%(messages)s::jsonb ->> item.group_name, 'the run ended before it was done')
    WHERE item.execution_id = %(execution_id)s::text AND item.state = 'planned'
    RETURNING item.execution_id, item.asset_id, item.operation, item.error_code, item.message
), told AS (
    UPDATE financial_screener.asset_processing_state AS state
    SET last_error_at = now(), last_error_code = failed.error_code, last_error_message = failed.message
    FROM failed
    WHERE state.asset_id = failed.asset_id
)
INSERT INTO financial_screener.asset_processing_details
    (execution_id, asset_id, ticker, operation, status, error_code, error_message, started_at, completed_at, duration_ms)
SELECT failed.execution_id, failed.asset_id, asset.ticker, failed.operation, 'failed', failed.error_code, failed.message, now(), now(), 0
FROM failed
JOIN financial_screener.assets AS asset ON asset.id = failed.asset_id
