-- Tells each item its fetch.
UPDATE financial_screener.plan_items AS item
SET fetch_id = fetch.id
FROM financial_screener.plan_fetches AS fetch
WHERE item.execution_id = %(execution_id)s::text AND item.state = 'planned' AND item.way = 'asset'
  AND fetch.execution_id = item.execution_id AND fetch.asset_id = item.asset_id
  AND (fetch.kind = 'fundamentals') = (item.operation = 'fundamentals_bulk')
