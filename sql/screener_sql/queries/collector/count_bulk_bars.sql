-- Bars of bulk days were stored for these assets: tells their states, and (due) adds to the items that wait for them.
WITH stored AS (
    SELECT * FROM jsonb_to_recordset(%(stored)s::jsonb) AS stored (asset_id integer, last_date date, inserted integer, updated integer)
), items AS (
    UPDATE financial_screener.plan_items AS item
    SET records_inserted = item.records_inserted + stored.inserted, records_updated = item.records_updated + stored.updated
    FROM stored
    WHERE item.execution_id = %(execution_id)s::text AND item.asset_id = stored.asset_id
      AND item.way = 'bulk' AND item.operation LIKE 'prices%%' AND item.state = 'planned' AND %(due)s::boolean
)
UPDATE financial_screener.asset_processing_state AS state
SET prices_last_date = greatest(state.prices_last_date, stored.last_date),
    prices_first_date = least(state.prices_first_date, stored.last_date),
    prices_changed_at = CASE WHEN stored.inserted + stored.updated > 0 THEN clock_timestamp() ELSE state.prices_changed_at END
FROM stored
WHERE state.asset_id = stored.asset_id
