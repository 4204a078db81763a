-- Items that waited for bulk days get a fetch of their own, of the whole history. asset_ids NULL: all of the exchange.
WITH moved AS (
    SELECT item.id, item.asset_id, item.group_name, item.exchange_id, item.expected_to,
           least(state.prices_checked_from, state.prices_first_date, item.expected_to) AS date_from
    FROM financial_screener.plan_items AS item
    JOIN financial_screener.asset_processing_state AS state ON state.asset_id = item.asset_id
    WHERE item.execution_id = %(execution_id)s::text AND item.exchange_id = %(exchange_id)s::smallint
      AND item.way = 'bulk' AND item.state = 'planned'
      AND (%(asset_ids)s::integer[] IS NULL OR item.asset_id = ANY (%(asset_ids)s::integer[]))
), added AS (
    INSERT INTO financial_screener.plan_fetches (execution_id, group_name, ordinal, kind, exchange_id, asset_id, date_from, date_to, calls)
    SELECT %(execution_id)s::text, group_name, 500000, 'prices', exchange_id, asset_id, date_from, expected_to, %(calls)s::integer
    FROM moved
    RETURNING id, asset_id
)
UPDATE financial_screener.plan_items AS item
SET way = 'asset', fetch_id = added.id, planned_calls = %(calls)s::integer
FROM moved JOIN added ON added.asset_id = moved.asset_id
WHERE item.id = moved.id
RETURNING item.asset_id
