-- The assets of claimed items, held against a writer of their bars until the bars are read. An asset that is being written at this
-- moment is left out: waiting for it while holding others could make a deadlock with its writer.
SELECT item.id, item.asset_id, asset.ticker, item.expected_to, state.needs_prices_reprocess, item.exchange_id,
       unit.per_major::double precision, state.prices_last_date, now()
FROM financial_screener.plan_items AS item
JOIN financial_screener.assets AS asset ON asset.id = item.asset_id
JOIN financial_screener.asset_processing_state AS state ON state.asset_id = item.asset_id
LEFT JOIN LATERAL financial_screener.unit_of(asset.currency) AS unit ON true
WHERE item.id = ANY (%(item_ids)s::bigint[]) AND item.worker_id = %(worker_id)s::integer AND item.state = 'planned'
ORDER BY item.asset_id
FOR SHARE OF state SKIP LOCKED
