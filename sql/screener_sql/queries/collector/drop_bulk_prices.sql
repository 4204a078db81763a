-- Where an action fetch of the exchange failed or was deferred, the bars of its bulk days are not asked for and end alike.
UPDATE financial_screener.plan_fetches AS request
SET state = trouble.state, error_code = trouble.error_code, message = trouble.message, worker_id = %(worker_id)s::integer,
    finished_at = now()
FROM (
    SELECT state, error_code, kind || ' of ' || session || ': ' || message AS message
    FROM financial_screener.plan_fetches
    WHERE execution_id = %(execution_id)s::text AND asset_id IS NULL AND exchange_id = %(exchange_id)s::smallint
      AND kind IN ('bulk_dividends', 'bulk_splits') AND state IN ('failed', 'deferred')
    ORDER BY state = 'failed' DESC, ordinal LIMIT 1
) AS trouble
WHERE request.execution_id = %(execution_id)s::text AND request.asset_id IS NULL AND request.exchange_id = %(exchange_id)s::smallint
  AND request.kind = 'bulk_prices' AND request.state = 'planned'
RETURNING request.kind, request.state, request.error_code, request.message
