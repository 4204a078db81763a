-- One item for each operation that an asset needs; an asset that needs nothing has one item, skipped, so that it ends in a state too.
-- bulk: {"<exchange id>": sessions by bulk}
INSERT INTO financial_screener.plan_items
    (execution_id, group_name, asset_id, exchange_id, operation, way, expected_to, planned_calls, state, planned, error_code, finished_at)
SELECT %(execution_id)s::text, delta.group_name, delta.asset_id, delta.exchange_id, item.operation, item.way, delta.expected_to, item.calls,
       CASE WHEN item.due THEN 'planned' ELSE 'skipped' END,
       item.due,
       CASE WHEN item.due THEN NULL WHEN delta.backing_off THEN 'backing_off' ELSE 'up_to_date' END,
       CASE WHEN item.due THEN NULL ELSE now() END
FROM delta
CROSS JOIN LATERAL (
    SELECT CASE WHEN prices_loaded THEN 'prices_incremental' ELSE 'prices_bulk' END,
           CASE WHEN gap <= (%(bulk)s::jsonb ->> exchange_id::text)::integer THEN 'bulk' ELSE 'asset' END,
           CASE WHEN gap <= (%(bulk)s::jsonb ->> exchange_id::text)::integer THEN 0 ELSE %(prices_calls)s::integer END,
           true
    WHERE prices_due
    UNION ALL
    SELECT 'fundamentals_bulk', 'asset', %(fundamentals_calls)s::integer, true
    WHERE fundamentals_due
    UNION ALL
    SELECT CASE WHEN 'prices' = ANY (%(operations)s::text[]) THEN 'prices_incremental' ELSE 'fundamentals_bulk' END, NULL, 0, false
    WHERE NOT prices_due AND NOT fundamentals_due
) AS item (operation, way, calls, due)
