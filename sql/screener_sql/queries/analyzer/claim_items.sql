-- Claims items that nobody alive holds, and those of this worker whose assets were busy before, but for those that it has in hand.
UPDATE financial_screener.plan_items AS item
SET worker_id = %(worker_id)s::integer
FROM (
    SELECT id
    FROM financial_screener.plan_items
    WHERE execution_id = %(execution_id)s::text AND operation = 'indicators_calc' AND state = 'planned'
      AND (worker_id IS NULL OR worker_id = %(worker_id)s::integer OR NOT financial_screener.worker_is_alive(worker_id))
      AND id <> ALL (%(besides)s::bigint[])
    ORDER BY asset_id
    LIMIT %(chunk)s::integer
    FOR UPDATE SKIP LOCKED
) AS free
WHERE item.id = free.id
RETURNING item.id
