-- One item for each operation that an asset needs, with the request that serves it or, where the calls left do not reach for it, the day on
-- which it should come; an asset that needs nothing has one item, skipped, so that it ends in a state too. served: of each later day, how
-- many of a kind of single requests are done at its end.
INSERT INTO financial_screener.plan_items
    (execution_id, group_name, asset_id, exchange_id, operation, way, fetch_id, expected_to, planned_calls, state, planned, error_code,
     message, due_on, finished_at)
WITH pages AS (
    SELECT exchange_id, id, page_offset IS NOT NULL AS whole,
           row_number() OVER (PARTITION BY exchange_id ORDER BY ordinal) - 1 AS page,
           row_number() OVER (PARTITION BY exchange_id ORDER BY ordinal DESC) = 1 AS last
    FROM financial_screener.plan_fetches
    WHERE execution_id = %(execution_id)s::text AND kind = 'bulk_fundamentals'
), requests AS (
    SELECT id, asset_id, kind FROM financial_screener.plan_fetches WHERE execution_id = %(execution_id)s::text AND asset_id IS NOT NULL
)
SELECT %(execution_id)s::text, choice.group_name, delta.asset_id, delta.exchange_id, item.operation, way.way,
       coalesce(request.id, page.id), item.expected_to, CASE way.way WHEN 'asset' THEN item.calls ELSE 0 END,
       verdict.state, verdict.state = 'planned',
       CASE verdict.state WHEN 'deferred' THEN %(error_code)s::text
                          WHEN 'skipped' THEN CASE WHEN delta.backing_off THEN 'backing_off' ELSE 'up_to_date' END END,
       CASE verdict.state WHEN 'deferred' THEN %(message)s::text || coalesce('; it should come on ' || verdict.due_on, '') END,
       verdict.due_on,
       CASE WHEN verdict.state <> 'planned' THEN now() END
FROM delta
JOIN choice ON choice.exchange_id = delta.exchange_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN delta.refreshing THEN 5 ELSE 1 END AS step, 'prices' AS kind,
           CASE WHEN delta.prices_loaded THEN 'prices_incremental' ELSE 'prices_bulk' END AS operation,
           NOT delta.refreshing AND delta.prices_since >= choice.prices_cut AS by_bulk, choice.prices_fit AS bulk_fits,
           choice.prices_due_on AS bulk_due_on, choice.prices_to AS expected_to, 1 AS calls,
           %(prices_served)s::integer[] AS served, true AS due
    WHERE delta.prices_since IS NOT NULL OR delta.refreshing
    UNION ALL
    SELECT 2, 'splits', 'splits', delta.splits_since >= choice.splits_cut, choice.splits_fit,
           choice.splits_due_on, choice.actions_to, 1, %(actions_served)s::integer[], true
    WHERE delta.splits_since IS NOT NULL
    UNION ALL
    SELECT 3, 'dividends', 'dividends', delta.dividends_since >= choice.dividends_cut, choice.dividends_fit,
           choice.dividends_due_on, choice.actions_to, 1, %(actions_served)s::integer[], true
    WHERE delta.dividends_since IS NOT NULL
    UNION ALL
    SELECT 4, 'fundamentals', 'fundamentals_bulk', false, false, NULL, choice.prices_to, 10, %(fundamentals_served)s::integer[], true
    WHERE delta.fundamentals_due
    UNION ALL
    SELECT NULL, NULL, CASE WHEN 'prices' = ANY (%(operations)s::text[]) THEN 'prices_incremental' ELSE 'fundamentals_bulk' END,
           NULL, false, NULL, choice.prices_to, 0, NULL, false
    WHERE NOT (delta.refreshing OR delta.fundamentals_due) AND delta.prices_since IS NULL AND delta.splits_since IS NULL
      AND delta.dividends_since IS NULL
) AS item
LEFT JOIN queue ON queue.asset_id = delta.asset_id AND queue.step = item.step
LEFT JOIN requests AS request ON request.asset_id = delta.asset_id AND request.kind = item.kind
LEFT JOIN pages AS page ON item.step = 4 AND page.exchange_id = delta.exchange_id AND queue.page IS NOT NULL
    AND CASE WHEN page.whole THEN page.last ELSE page.page = queue.page END
CROSS JOIN LATERAL (
    SELECT CASE WHEN item.by_bulk OR queue.page IS NOT NULL THEN 'bulk' WHEN item.due THEN 'asset' END AS way
) AS way
CROSS JOIN LATERAL (
    SELECT CASE WHEN NOT item.due THEN 'skipped'
                WHEN CASE WHEN item.by_bulk THEN item.bulk_fits ELSE coalesce(request.id, page.id) IS NOT NULL END THEN 'planned'
                ELSE 'deferred' END AS state
) AS judged
CROSS JOIN LATERAL (
    SELECT judged.state,
           CASE WHEN judged.state <> 'deferred' THEN NULL
                WHEN item.by_bulk THEN item.bulk_due_on
                WHEN queue.rank <= item.served[cardinality(item.served)]
                THEN (%(now)s::timestamptz AT TIME ZONE 'UTC')::date + 1 + width_bucket(queue.rank - 1, item.served) END AS due_on
) AS verdict
