-- Items that waited for bulk days get a fetch of their own: of the whole history, or of the whole list of splits or dividends.
-- exchange_id, asset_ids NULL: of all. operations: which.
WITH moved AS (
    SELECT item.id, item.asset_id, item.group_name, item.exchange_id, item.expected_to,
           CASE WHEN item.operation LIKE 'prices%%' THEN 'prices' ELSE item.operation END AS kind,
           least(state.prices_checked_from, state.prices_first_date, item.expected_to) AS date_from
    FROM financial_screener.plan_items AS item
    JOIN financial_screener.asset_processing_state AS state ON state.asset_id = item.asset_id
    WHERE item.execution_id = %(execution_id)s::text
      AND (%(exchange_id)s::smallint IS NULL OR item.exchange_id = %(exchange_id)s::smallint)
      AND item.way = 'bulk' AND item.state = 'planned' AND item.operation = ANY (%(operations)s::text[])
      AND (%(asset_ids)s::integer[] IS NULL OR item.asset_id = ANY (%(asset_ids)s::integer[]))
), added AS (
    INSERT INTO financial_screener.plan_fetches (execution_id, group_name, ordinal, kind, exchange_id, asset_id, date_from, date_to, calls)
    SELECT %(execution_id)s::text, group_name, 500000, kind, exchange_id, asset_id, date_from, expected_to, %(calls)s::integer
    FROM moved
    RETURNING id, asset_id, kind
)
UPDATE financial_screener.plan_items AS item
SET way = 'asset', fetch_id = added.id, planned_calls = %(calls)s::integer
FROM moved JOIN added ON added.asset_id = moved.asset_id AND added.kind = moved.kind
WHERE item.id = moved.id
RETURNING item.asset_id
