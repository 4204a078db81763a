-- Items of pages of fundamentals get fetches of their own, of the assets that a page lacks. fetch_ids: of the pages.
WITH moved AS (
    SELECT item.id, item.asset_id, item.group_name, item.exchange_id
    FROM financial_screener.plan_items AS item
    WHERE item.fetch_id = ANY (%(fetch_ids)s::bigint[]) AND item.way = 'bulk' AND item.state = 'planned'
), added AS (
    INSERT INTO financial_screener.plan_fetches (execution_id, group_name, ordinal, kind, exchange_id, asset_id, calls)
    SELECT %(execution_id)s::text, group_name, 1500000000, 'fundamentals', exchange_id, asset_id, %(calls)s::integer
    FROM moved
    ORDER BY moved.id
    RETURNING id, asset_id
)
UPDATE financial_screener.plan_items AS item
SET way = 'asset', fetch_id = added.id, planned_calls = %(calls)s::integer
FROM moved JOIN added ON added.asset_id = moved.asset_id
WHERE item.id = moved.id
RETURNING item.asset_id
