-- The bulk requests: of each session the dividends, the splits, then the bars, oldest session first; and, before any
-- fundamentals, the sessions whose volumes have become final.
INSERT INTO financial_screener.plan_fetches
    (execution_id, group_name, ordinal, kind, purpose, exchange_id, session, date_from, date_to, calls, state)
SELECT %(execution_id)s::text, choice.group_name,
       (CASE request.purpose WHEN 'due' THEN 1000 ELSE 190000000 END
        + row_number() OVER (PARTITION BY request.purpose ORDER BY asked.session, request.place, choice.exchange_id))::integer,
       request.kind, request.purpose, choice.exchange_id, asked.session, asked.session, asked.session, 100,
       CASE WHEN %(dry_run)s::boolean THEN 'deferred' ELSE 'planned' END
FROM choice
CROSS JOIN LATERAL (VALUES
    (1, 'bulk_dividends', 'due', choice.dividends_cut, choice.actions_to, choice.dividends_fit),
    (2, 'bulk_splits', 'due', choice.splits_cut, choice.actions_to, choice.splits_fit),
    (3, 'bulk_prices', 'due', choice.prices_cut, choice.prices_to, choice.prices_fit),
    (4, 'bulk_prices', 'correction', choice.correction - 1, choice.correction, true)
) AS request (place, kind, purpose, since, until, fit)
JOIN financial_screener.exchange_sessions AS asked
    ON asked.exchange_id = choice.exchange_id AND asked.session > request.since AND asked.session <= request.until
WHERE request.fit
