-- Claims items that nobody alive holds, and those of this worker whose assets were busy before, of assets after one: what the worker has
-- in hand is before. The items are updated by an array of their ids, else the items of every run there has been would be read.
UPDATE financial_screener.plan_items AS item
SET worker_id = %(worker_id)s::integer
WHERE item.id = ANY (ARRAY(
    SELECT id
    FROM financial_screener.plan_items
    WHERE execution_id = %(execution_id)s::text AND operation = 'indicators_calc' AND state = 'planned' AND asset_id > %(after)s::integer
      AND (
          worker_id IS NULL OR worker_id = %(worker_id)s::integer OR worker_id NOT IN (
              SELECT worker.id FROM financial_screener.workers AS worker
              WHERE worker.execution_id = %(execution_id)s::text AND financial_screener.worker_is_alive(worker.id)
          )
      )
    ORDER BY asset_id
    LIMIT %(chunk)s::integer
    FOR UPDATE SKIP LOCKED
))
RETURNING item.id
