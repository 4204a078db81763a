-- Tells each item its fetch.
UPDATE financial_screener.plan_items AS item
SET fetch_id = request.id
FROM financial_screener.plan_fetches AS request
WHERE item.execution_id = %(execution_id)s::text AND item.state = 'planned' AND item.way = 'asset'
  AND request.execution_id = item.execution_id AND request.asset_id = item.asset_id
  AND (request.kind = 'fundamentals') = (item.operation = 'fundamentals_bulk')
