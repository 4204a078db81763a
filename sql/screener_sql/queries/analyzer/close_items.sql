-- Ends items, each as its own row of the arrays says. By the array of their ids, else the items of every run there has been would be read.
UPDATE financial_screener.plan_items AS item
SET state = ended.state,
    records_inserted = ended.inserted,
    records_updated = ended.updated,
    error_code = ended.error_code,
    message = ended.message,
    finished_at = now()
FROM unnest(%(item_ids)s::bigint[], %(states)s::text[], %(inserted)s::integer[], %(updated)s::integer[], %(error_codes)s::text[],
            %(messages)s::text[]) AS ended (item_id, state, inserted, updated, error_code, message)
WHERE item.id = ended.item_id AND item.id = ANY (%(item_ids)s::bigint[])
