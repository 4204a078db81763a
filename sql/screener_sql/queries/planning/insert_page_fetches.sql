-- Pages of fundamentals: of whole exchanges by their place in the list, or of named symbols.
INSERT INTO financial_screener.plan_fetches
    (execution_id, group_name, ordinal, kind, exchange_id, symbols, page_offset, calls, state)
SELECT %(execution_id)s::text, choice.group_name, (200000000 + row_number() OVER (ORDER BY choice.exchange_id, page.number))::integer,
       'bulk_fundamentals', choice.exchange_id, page.symbols, page.page_offset, 100 + coalesce(cardinality(page.symbols), 0),
       CASE WHEN %(dry_run)s::boolean THEN 'deferred' ELSE 'planned' END
FROM choice
CROSS JOIN LATERAL (
    SELECT number, NULL::text[] AS symbols, number * %(page_size)s::integer AS page_offset
    FROM generate_series(0, choice.whole_pages - 1) AS whole (number)
    UNION ALL
    SELECT queue.page, array_agg(asset.code ORDER BY asset.code), NULL
    FROM queue JOIN financial_screener.assets AS asset ON asset.id = queue.asset_id
    WHERE choice.whole_pages = 0 AND queue.exchange_id = choice.exchange_id AND queue.page IS NOT NULL
    GROUP BY queue.page
) AS page
