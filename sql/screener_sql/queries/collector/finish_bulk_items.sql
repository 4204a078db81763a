-- When none of the exchange's bulk days of bars is open any more, ends the items that waited for them: failed or deferred where one of
-- the days is; else by whether a bar of one of the sessions is stored. A session without bars that is
-- older than one with bars was none (an unscheduled closing), and no trouble.
-- OFFSET 0: what is asked of all partitions is asked once an item, not wherever the answer is used.
WITH requests AS (
    SELECT state, session, error_code, message, ordinal, claimed_at
    FROM financial_screener.plan_fetches
    WHERE execution_id = %(execution_id)s::text AND exchange_id = %(exchange_id)s::smallint AND kind = 'bulk_prices'
      AND purpose = 'due'
), trouble AS (
    SELECT state, error_code, message FROM requests
    WHERE state IN ('failed', 'deferred')
      AND (error_code IS DISTINCT FROM 'not_published'
           OR NOT EXISTS (
               SELECT FROM requests AS later
               WHERE later.state = 'done' AND later.session > requests.session
           ))
    ORDER BY state = 'failed' DESC, ordinal LIMIT 1
), judged AS (
    SELECT item.id, item.asset_id, item.operation, item.expected_to, item.records_inserted, item.records_updated, bar.found, verdict.*
    FROM financial_screener.plan_items AS item
    LEFT JOIN trouble ON true
    CROSS JOIN LATERAL (
        SELECT EXISTS (
                   SELECT FROM financial_screener.stock_prices AS stored
                   JOIN requests ON requests.session = stored.date
                   WHERE stored.asset_id = item.asset_id
               ) AS found,
               (
                   SELECT count(DISTINCT bad.date) FROM financial_screener.quarantined_bars AS bad
                   JOIN requests ON requests.session = bad.date
                   WHERE bad.asset_id = item.asset_id AND bad.released_at IS NULL
               ) AS bad
        OFFSET 0
    ) AS bar
    CROSS JOIN LATERAL (
        SELECT CASE WHEN trouble.state IS NOT NULL THEN trouble.state
                    WHEN bar.found THEN 'succeeded'
                    WHEN bar.bad > 0 THEN 'failed'
                    ELSE 'skipped' END AS state,
               CASE WHEN trouble.state IS NOT NULL THEN trouble.error_code
                    WHEN bar.found THEN NULL
                    WHEN bar.bad > 0 THEN 'bad_data'
                    ELSE 'no_trade' END AS error_code,
               CASE WHEN trouble.state IS NOT NULL THEN trouble.message
                    WHEN bar.found THEN CASE WHEN bar.bad > 0 THEN bar.bad || ' bars are in quarantined_bars' END
                    WHEN bar.bad > 0 THEN 'its bar broke a rule and is in quarantined_bars'
                    ELSE 'the vendor has no bar of it for these sessions' END AS message
    ) AS verdict
    WHERE item.execution_id = %(execution_id)s::text AND item.exchange_id = %(exchange_id)s::smallint
      AND item.way = 'bulk' AND item.operation LIKE 'prices%%' AND item.state = 'planned'
      AND NOT EXISTS (SELECT FROM requests WHERE state IN ('planned', 'claimed'))
), ended AS (
    UPDATE financial_screener.plan_items AS item
    SET state = judged.state, error_code = judged.error_code, message = judged.message,
        due_on = financial_screener.due_on(judged.error_code), worker_id = %(worker_id)s::integer, finished_at = now()
    FROM judged WHERE item.id = judged.id
), states AS (
    UPDATE financial_screener.asset_processing_state AS state
    SET prices_checked_to = CASE WHEN judged.state IN ('succeeded', 'skipped') THEN newest.checked_to ELSE state.prices_checked_to END,
        prices_next_attempt_at = CASE WHEN mended.is_bad
                                      THEN date_trunc('day', now(), 'UTC') + interval '1 day' * least(power(2, before.prices_failures), 32)
                                      WHEN judged.state NOT IN ('succeeded', 'skipped') THEN state.prices_next_attempt_at
                                      WHEN newest.checked_to < judged.expected_to THEN newest.next_attempt_at END,
        prices_last_updated_at = CASE WHEN judged.state = 'succeeded' THEN now() ELSE state.prices_last_updated_at END,
        prices_execution_id = CASE WHEN judged.state = 'succeeded' THEN %(execution_id)s::text ELSE state.prices_execution_id END,
        prices_failures = CASE WHEN judged.state = 'succeeded' THEN 0
                               WHEN mended.is_bad THEN state.prices_failures + 1
                               ELSE state.prices_failures END,
        last_error_at = CASE WHEN judged.state = 'failed' THEN now() WHEN mended.is_well THEN NULL ELSE state.last_error_at END,
        last_error_code = CASE WHEN judged.state = 'failed' THEN judged.error_code WHEN mended.is_well THEN NULL
                               ELSE state.last_error_code END,
        last_error_message = CASE WHEN judged.state = 'failed' THEN judged.message WHEN mended.is_well THEN NULL
                                  ELSE state.last_error_message END
    FROM judged
    JOIN financial_screener.asset_processing_state AS before USING (asset_id)
    CROSS JOIN LATERAL (
        SELECT judged.state = 'succeeded' AND before.fundamentals_failures = 0 AND before.indicators_failures = 0 AS is_well,
               judged.state = 'failed' AND judged.error_code = 'bad_data' AND NOT EXISTS (SELECT FROM trouble) AS is_bad
    ) AS mended
    CROSS JOIN LATERAL (SELECT * FROM financial_screener.prices_reach(judged.asset_id, judged.expected_to) OFFSET 0) AS newest
    WHERE state.asset_id = judged.asset_id
), began AS MATERIALIZED (
    SELECT coalesce(min(claimed_at), now()) AS at FROM requests
)
INSERT INTO financial_screener.asset_processing_details
    (execution_id, asset_id, ticker, operation, status, records_inserted, records_updated, api_calls_used, error_code, error_message,
     started_at, completed_at, duration_ms)
SELECT %(execution_id)s::text, judged.asset_id, asset.ticker, judged.operation,
       CASE judged.state WHEN 'succeeded' THEN 'success' ELSE judged.state END,
       judged.records_inserted, judged.records_updated, 0, judged.error_code, judged.message,
       began.at, now(), round(extract(epoch FROM now() - began.at) * 1000)::integer
FROM judged
JOIN financial_screener.assets AS asset ON asset.id = judged.asset_id
CROSS JOIN began
