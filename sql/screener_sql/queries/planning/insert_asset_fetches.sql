-- One fetch for each item that goes by its own request: prices before fundamentals, most wanted and stalest first.
INSERT INTO financial_screener.plan_fetches (execution_id, group_name, ordinal, kind, exchange_id, asset_id, date_from, date_to, calls, state)
SELECT item.execution_id, item.group_name,
       (1000000 + row_number() OVER (
           ORDER BY item.operation = 'fundamentals_bulk',
                    CASE WHEN item.operation = 'fundamentals_bulk' THEN delta.fundamentals_at END NULLS FIRST,
                    delta.checked_to NULLS FIRST, delta.unwanted, item.id
       ))::integer,
       CASE WHEN item.operation = 'fundamentals_bulk' THEN 'fundamentals' ELSE 'prices' END,
       item.exchange_id, item.asset_id,
       CASE WHEN item.operation <> 'fundamentals_bulk' THEN delta.fetch_from END,
       CASE WHEN item.operation <> 'fundamentals_bulk'
            THEN coalesce(item.expected_to, %(as_of)s::date, (%(now)s::timestamptz AT TIME ZONE 'UTC')::date) END,
       item.planned_calls,
       CASE WHEN %(dry_run)s::boolean THEN 'deferred' ELSE 'planned' END
FROM financial_screener.plan_items AS item
JOIN delta ON delta.asset_id = item.asset_id
WHERE item.execution_id = %(execution_id)s::text AND item.state = 'planned' AND item.way = 'asset'
