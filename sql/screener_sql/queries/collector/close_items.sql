-- Ends items.
UPDATE financial_screener.plan_items AS item
SET state = ended.state, error_code = ended.error_code, message = ended.message, records_inserted = ended.inserted,
    records_updated = ended.updated, due_on = financial_screener.due_on(ended.error_code), worker_id = %(worker_id)s::integer, finished_at = now()
FROM jsonb_to_recordset(%(ended)s::jsonb)
    AS ended (item_id bigint, state text, error_code text, message text, inserted integer, updated integer)
WHERE item.id = ended.item_id AND item.state = 'planned'
