-- Of the next items after an asset, as many as a chunk has: claims those that nobody alive holds, and those of this worker whose assets
-- were busy before. Returns the asset of the last of them (NULL: there is none), and what is claimed. What comes later is not looked at,
-- or each chunk would read the whole run; nor are the items of earlier runs, as they are updated by an array of their ids.
WITH next AS MATERIALIZED (
    SELECT max(asset_id) AS last
    FROM (
        SELECT asset_id
        FROM financial_screener.plan_items
        WHERE execution_id = %(execution_id)s::text AND operation = 'indicators_calc' AND asset_id > %(after)s::integer
        ORDER BY asset_id
        LIMIT %(chunk)s::integer
    ) AS item
), claimed AS (
    UPDATE financial_screener.plan_items AS item
    SET worker_id = %(worker_id)s::integer
    WHERE item.id = ANY (ARRAY(
        SELECT id
        FROM financial_screener.plan_items
        WHERE execution_id = %(execution_id)s::text AND operation = 'indicators_calc' AND state = 'planned'
          AND asset_id > %(after)s::integer AND asset_id <= (SELECT last FROM next)
          AND (
              worker_id IS NULL OR worker_id = %(worker_id)s::integer OR worker_id NOT IN (
                  SELECT worker.id FROM financial_screener.workers AS worker
                  WHERE worker.execution_id = %(execution_id)s::text AND financial_screener.worker_is_alive(worker.id)
              )
          )
        ORDER BY asset_id
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING item.id
)
SELECT last, ARRAY(SELECT id FROM claimed) FROM next
