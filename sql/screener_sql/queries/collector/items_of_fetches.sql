-- The items that fetches serve, with what is known of their assets; the states are locked, in an order that all keep.
SELECT item.fetch_id, item.id AS item_id, item.asset_id, item.operation, item.expected_to, state.ticker,
       state.prices_last_date AS last_date, state.needs_prices_reprocess AS needs_reprocess
FROM financial_screener.plan_items AS item
JOIN financial_screener.asset_processing_state AS state ON state.asset_id = item.asset_id
WHERE item.fetch_id = ANY (%(fetch_ids)s::bigint[]) AND item.state = 'planned'
ORDER BY item.asset_id
FOR UPDATE OF state
