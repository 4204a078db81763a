-- Items that no page of fundamentals has served get fetches of their own, once no page is open that may have them.
WITH moved AS (
    SELECT item.id, item.asset_id, item.group_name, item.exchange_id
    FROM financial_screener.plan_items AS item
    JOIN financial_screener.plan_fetches AS page ON page.id = item.fetch_id
    WHERE item.execution_id = %(execution_id)s::text AND item.exchange_id = ANY (%(exchange_ids)s::smallint[])
      AND item.operation = 'fundamentals_bulk' AND item.way = 'bulk' AND item.state = 'planned' AND page.state IN ('done', 'failed')
      AND (page.page_offset IS NULL
           OR NOT EXISTS (
               SELECT FROM financial_screener.plan_fetches AS other
               WHERE other.execution_id = item.execution_id AND other.asset_id IS NULL AND other.exchange_id = item.exchange_id
                 AND other.page_offset IS NOT NULL AND other.state IN ('planned', 'claimed')
           ))
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
