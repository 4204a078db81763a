-- Defers the items of deferred fetches, each with its detail row.
WITH ended AS (
    UPDATE financial_screener.plan_items AS item
    SET state = 'deferred', error_code = %(error_code)s::text, message = %(message)s::text,
        due_on = financial_screener.due_on(%(error_code)s::text), worker_id = %(worker_id)s::integer, finished_at = now()
    WHERE item.fetch_id = ANY (%(fetch_ids)s::bigint[]) AND item.state = 'planned'
    RETURNING item.asset_id, item.operation
)
INSERT INTO financial_screener.asset_processing_details
    (execution_id, asset_id, ticker, operation, status, error_code, error_message, completed_at, duration_ms)
SELECT %(execution_id)s::text, ended.asset_id, asset.ticker, ended.operation, 'deferred', %(error_code)s::text, %(message)s::text, now(), 0
FROM ended JOIN financial_screener.assets AS asset ON asset.id = ended.asset_id
