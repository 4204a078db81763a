-- The items of pages of fundamentals, with their assets.
SELECT item.fetch_id, item.id AS item_id, item.asset_id, asset.code, asset.ticker
FROM financial_screener.plan_items AS item
JOIN financial_screener.assets AS asset ON asset.id = item.asset_id
WHERE item.fetch_id = ANY (%(fetch_ids)s::bigint[]) AND item.state = 'planned'
ORDER BY item.asset_id
