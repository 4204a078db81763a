-- When none of the exchange's lists of splits (or of dividends) is open any more, ends the items that waited for them: as one of the lists
-- where it failed, else by whether the lists of all sessions up to the newest that is expected were final.
WITH requests AS (
    SELECT state, error_code, message, ordinal, claimed_at
    FROM financial_screener.plan_fetches
    WHERE execution_id = %(execution_id)s::text AND asset_id IS NULL AND exchange_id = %(exchange_id)s::smallint AND kind = %(kind)s::text
), trouble AS (
    SELECT state, error_code, message FROM requests WHERE state IN ('failed', 'deferred')
    ORDER BY state = 'failed' DESC, ordinal LIMIT 1
), judged AS (
    SELECT item.id, item.asset_id, item.operation, verdict.*
    FROM financial_screener.plan_items AS item
    JOIN financial_screener.asset_processing_state AS known ON known.asset_id = item.asset_id
    JOIN financial_screener.assets AS asset ON asset.id = item.asset_id
    LEFT JOIN trouble ON true
    CROSS JOIN LATERAL (
        SELECT CASE WHEN item.operation = 'splits' THEN known.splits_checked_to ELSE known.dividends_checked_to END AS checked_to
    ) AS reach
    CROSS JOIN LATERAL (
        SELECT CASE WHEN asset.code = ANY (%(doubtful)s::text[]) THEN 'failed'
                    WHEN trouble.state IS NOT NULL THEN trouble.state
                    WHEN reach.checked_to >= item.expected_to THEN 'succeeded'
                    ELSE 'deferred' END AS state,
               CASE WHEN asset.code = ANY (%(doubtful)s::text[]) THEN 'bad_payload'
                    WHEN trouble.state IS NOT NULL THEN trouble.error_code
                    WHEN reach.checked_to >= item.expected_to THEN NULL
                    ELSE 'not_published' END AS error_code,
               CASE WHEN asset.code = ANY (%(doubtful)s::text[])
                    THEN 'what the list of the exchange says of it cannot be read; its own is asked for next'
                    WHEN trouble.state IS NOT NULL THEN trouble.message
                    WHEN reach.checked_to >= item.expected_to THEN NULL
                    ELSE 'the vendor''s list of the newest session is not final yet' END AS message
    ) AS verdict
    WHERE item.execution_id = %(execution_id)s::text AND item.exchange_id = %(exchange_id)s::smallint
      AND item.way = 'bulk' AND item.operation = substr(%(kind)s::text, 6) AND item.state = 'planned'
      AND NOT EXISTS (SELECT FROM requests WHERE state IN ('planned', 'claimed'))
), ended AS (
    UPDATE financial_screener.plan_items AS item
    SET state = judged.state, error_code = judged.error_code, message = judged.message,
        due_on = financial_screener.due_on(judged.error_code), worker_id = %(worker_id)s::integer, finished_at = now()
    FROM judged WHERE item.id = judged.id
), states AS (
    UPDATE financial_screener.asset_processing_state AS state
    SET last_error_at = now(), last_error_code = judged.error_code, last_error_message = judged.message
    FROM judged WHERE state.asset_id = judged.asset_id AND judged.state = 'failed'
), began AS MATERIALIZED (
    SELECT coalesce(min(claimed_at), now()) AS at FROM requests
)
INSERT INTO financial_screener.asset_processing_details
    (execution_id, asset_id, ticker, operation, status, error_code, error_message, started_at, completed_at, duration_ms)
SELECT %(execution_id)s::text, judged.asset_id, asset.ticker, judged.operation,
       CASE judged.state WHEN 'succeeded' THEN 'success' ELSE judged.state END, judged.error_code, judged.message,
       began.at, now(), round(extract(epoch FROM now() - began.at) * 1000)::integer
FROM judged
JOIN financial_screener.assets AS asset ON asset.id = judged.asset_id
CROSS JOIN began
