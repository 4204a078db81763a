-- What was planned, by group, exchange, operation and way. Bulk days serve all bulk items of their exchange. Deferred: what the plan
-- itself left out, of a dry run too.
WITH item AS (
    SELECT group_name, exchange_id, operation, way, planned OR error_code = 'dry_run' AS wanted,
           NOT planned AND error_code IN ('daily_limit', 'run_limit') AS deferred, fetch_id
    FROM financial_screener.plan_items
    WHERE execution_id = %(execution_id)s::text AND (planned OR error_code IN ('dry_run', 'daily_limit', 'run_limit'))
), summed AS (
    SELECT item.group_name, item.exchange_id, item.operation, item.way,
           min(request.date_from) FILTER (WHERE item.wanted) AS date_from,
           max(request.date_to) FILTER (WHERE item.wanted) AS date_to,
           count(*) FILTER (WHERE item.wanted) AS assets,
           count(request.id) FILTER (WHERE item.wanted) AS requests,
           coalesce(sum(request.calls) FILTER (WHERE item.wanted), 0) AS calls,
           count(*) FILTER (WHERE item.deferred) AS deferred
    FROM item
    LEFT JOIN financial_screener.plan_fetches AS request ON request.id = item.fetch_id
    GROUP BY item.group_name, item.exchange_id, item.operation, item.way
), bulk AS (
    SELECT exchange_id, min(session) AS date_from, max(session) AS date_to, count(*) AS requests, sum(calls) AS calls
    FROM financial_screener.plan_fetches
    WHERE execution_id = %(execution_id)s::text AND session IS NOT NULL
    GROUP BY exchange_id
)
SELECT summed.group_name, exchange.code AS exchange, summed.operation, summed.way,
       CASE WHEN summed.way = 'bulk' THEN bulk.date_from ELSE summed.date_from END AS date_from,
       CASE WHEN summed.way = 'bulk' THEN bulk.date_to ELSE summed.date_to END AS date_to,
       summed.assets::integer AS assets,
       (CASE WHEN summed.way = 'bulk' THEN coalesce(bulk.requests, 0) ELSE summed.requests END)::integer AS requests,
       (CASE WHEN summed.way = 'bulk' THEN coalesce(bulk.calls, 0) ELSE summed.calls END)::integer AS calls,
       summed.deferred::integer AS deferred
FROM summed
JOIN financial_screener.exchanges AS exchange ON exchange.id = summed.exchange_id
LEFT JOIN bulk ON bulk.exchange_id = summed.exchange_id
ORDER BY summed.group_name, exchange.code, summed.operation DESC, summed.way
