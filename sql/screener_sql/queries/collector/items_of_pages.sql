-- The items that pages of fundamentals may serve, with their assets: of named assets its own, of the next so many of an exchange all.
SELECT request.id AS fetch_id, item.id AS item_id, item.asset_id, asset.code, asset.ticker, item.fetch_id = request.id AS is_own
FROM financial_screener.plan_fetches AS request
JOIN financial_screener.plan_items AS item
    ON item.execution_id = request.execution_id AND item.exchange_id = request.exchange_id
    AND (request.symbols IS NULL OR item.fetch_id = request.id)
JOIN financial_screener.assets AS asset ON asset.id = item.asset_id
WHERE request.id = ANY (%(fetch_ids)s::bigint[]) AND item.operation = 'fundamentals_bulk' AND item.way = 'bulk' AND item.state = 'planned'
ORDER BY item.asset_id
