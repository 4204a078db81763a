-- Keeps what was planned as it is now, before anything of it is done: of each group a row for each exchange, operation and way; bulk days
-- serve all bulk items of their exchange and kind. Deferred: what the plan itself left out, of a dry run too. choices: {"<exchange>": what
-- was chosen for it, in a sentence}, told at its first row.
WITH item AS (
    SELECT item.group_name, item.exchange_id,
           CASE request.purpose WHEN 'refresh' THEN 'prices_refresh' ELSE item.operation END AS operation, item.way,
           item.planned OR item.error_code = 'dry_run' AS wanted, item.fetch_id, request.date_from, request.date_to
    FROM financial_screener.plan_items AS item
    LEFT JOIN LATERAL ( -- by its id, whatever Postgres believes of tables that were analysed while they were empty
        SELECT purpose, date_from, date_to FROM financial_screener.plan_fetches WHERE id = item.fetch_id OFFSET 0
    ) AS request ON true
    WHERE item.execution_id = %(execution_id)s::text AND (item.planned OR item.error_code IN ('dry_run', 'daily_limit', 'run_limit'))
), summed AS (
    SELECT group_name, exchange_id, operation, way,
           min(date_from) FILTER (WHERE wanted) AS date_from, max(date_to) FILTER (WHERE wanted) AS date_to,
           count(*) FILTER (WHERE wanted) AS assets, count(*) FILTER (WHERE NOT wanted) AS deferred
    FROM item
    GROUP BY group_name, exchange_id, operation, way
), fetched AS (
    SELECT group_name, exchange_id, served.operation, served.way,
           min(date_from) AS date_from, max(date_to) AS date_to, count(*) AS requests, sum(calls) AS calls
    FROM financial_screener.plan_fetches AS request
    CROSS JOIN LATERAL (
        SELECT CASE WHEN request.kind LIKE 'bulk%%' THEN 'bulk' ELSE 'asset' END AS way,
               CASE WHEN request.purpose = 'reference' THEN 'reference_prices'
                    WHEN request.purpose = 'correction' THEN 'prices_correction'
                    WHEN request.purpose = 'refresh' THEN 'prices_refresh'
                    WHEN request.kind = 'bulk_prices' THEN 'prices_incremental'
                    WHEN request.kind LIKE '%%fundamentals' THEN 'fundamentals_bulk'
                    WHEN request.kind = 'prices'
                    THEN (SELECT item.operation FROM financial_screener.plan_items AS item WHERE item.fetch_id = request.id)
                    ELSE replace(request.kind, 'bulk_', '') END AS operation
    ) AS served
    WHERE request.execution_id = %(execution_id)s::text
    GROUP BY group_name, exchange_id, served.operation, served.way
), told AS (
    SELECT coalesce(summed.group_name, fetched.group_name) AS group_name, exchange.code AS exchange, operation, way,
           coalesce(fetched.date_from, summed.date_from) AS date_from, coalesce(fetched.date_to, summed.date_to) AS date_to,
           coalesce(summed.assets, 0)::integer AS assets, coalesce(fetched.requests, 0)::integer AS requests,
           coalesce(fetched.calls, 0)::integer AS calls, coalesce(summed.deferred, 0)::integer AS deferred,
           CASE WHEN row_number() OVER (PARTITION BY exchange.code ORDER BY operation DESC, way) = 1
                THEN %(choices)s::jsonb ->> exchange.code END AS choice
    FROM summed
    FULL JOIN fetched USING (group_name, exchange_id, operation, way)
    JOIN financial_screener.exchanges AS exchange ON exchange.id = exchange_id
)
UPDATE financial_screener.slices AS slice
SET plan = listed.plan
FROM (
    SELECT group_name, jsonb_agg(to_jsonb(told) - 'group_name' ORDER BY exchange, operation DESC, way) AS plan
    FROM told GROUP BY group_name
) AS listed
WHERE slice.execution_id = %(execution_id)s::text AND slice.kind <> 'preflight' AND slice.name = listed.group_name
