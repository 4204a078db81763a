-- Those of the items that are still this worker's and whose assets nobody is writing; locked until the transaction ends.
SELECT item.id
FROM financial_screener.plan_items AS item
JOIN financial_screener.asset_processing_state AS state ON state.asset_id = item.asset_id
WHERE item.id = ANY (%(item_ids)s::bigint[]) AND item.worker_id = %(worker_id)s::integer AND item.state = 'planned'
ORDER BY item.asset_id
FOR NO KEY UPDATE OF item, state SKIP LOCKED
