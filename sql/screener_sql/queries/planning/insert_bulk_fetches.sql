-- The bulk requests of an exchange: of each of its latest sessions the dividends, the splits, then the bars, oldest session first.
INSERT INTO financial_screener.plan_fetches (execution_id, group_name, ordinal, kind, exchange_id, session, date_from, date_to, calls, state)
SELECT %(execution_id)s::text, scope.group_name, (row_number() OVER (ORDER BY latest.session, request.ordinal))::integer, request.kind,
       %(exchange_id)s::smallint, latest.session, latest.session, latest.session, 100,
       CASE WHEN %(dry_run)s::boolean THEN 'deferred' ELSE 'planned' END
FROM (SELECT group_name, expected_to FROM delta WHERE exchange_id = %(exchange_id)s::smallint LIMIT 1) AS scope
CROSS JOIN LATERAL (
    SELECT session FROM financial_screener.exchange_sessions
    WHERE exchange_id = %(exchange_id)s::smallint AND session <= scope.expected_to
    ORDER BY session DESC LIMIT %(sessions)s::integer
) AS latest
CROSS JOIN (VALUES (1, 'bulk_dividends'), (2, 'bulk_splits'), (3, 'bulk_prices')) AS request (ordinal, kind)
