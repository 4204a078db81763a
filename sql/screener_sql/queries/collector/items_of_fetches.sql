-- What assets' own fetches serve: an item each, or none, such as of a reference series. An item that has ended is not served any more.
SELECT request.id AS fetch_id, item.id AS item_id, state.asset_id, state.ticker, asset.kind,
       coalesce(item.operation, CASE request.purpose WHEN 'reference' THEN 'reference_prices' ELSE 'action_refetch' END) AS operation,
       coalesce(item.expected_to, request.date_to) AS expected_to,
       state.prices_last_date AS last_date, state.needs_prices_reprocess AS needs_reprocess
FROM financial_screener.plan_fetches AS request
JOIN financial_screener.asset_processing_state AS state ON state.asset_id = request.asset_id
JOIN financial_screener.assets AS asset ON asset.id = request.asset_id
LEFT JOIN financial_screener.plan_items AS item ON item.fetch_id = request.id
WHERE request.id = ANY (%(fetch_ids)s::bigint[]) AND (item.id IS NULL OR item.state = 'planned')
ORDER BY state.asset_id, item.id
