-- Delta discovery, in one statement: how many assets of each exchange need what: of prices, splits and dividends by the sessions that they
-- lack, NULL where the whole history is wanted.
WITH needs AS (
    SELECT exchange_id, prices_since, splits_since, dividends_since, count(*) AS assets,
           count(*) FILTER (WHERE fundamentals_due) AS fundamentals,
           count(*) FILTER (WHERE prices_loaded) AS loaded,
           count(*) FILTER (WHERE refreshed_at >= %(today)s::timestamptz) AS refreshed
    FROM financial_screener.asset_needs(
        %(exchange_ids)s::smallint[], %(named)s::integer[], %(prices_to)s::date[], %(actions_to)s::date[],
        %(asset_types)s::text[], %(operations)s::text[], %(history_from)s::date, %(now)s::timestamptz)
    GROUP BY exchange_id, prices_since, splits_since, dividends_since
), summed AS (
    SELECT needs.exchange_id, work.kind, work.since, work.until, sum(work.assets) AS assets
    FROM needs
    CROSS JOIN LATERAL (VALUES
        ('prices', needs.prices_since, (%(prices_to)s::date[])[needs.exchange_id], needs.assets),
        ('splits', needs.splits_since, (%(actions_to)s::date[])[needs.exchange_id], needs.assets),
        ('dividends', needs.dividends_since, (%(actions_to)s::date[])[needs.exchange_id], needs.assets),
        ('fundamentals', '-infinity', NULL, needs.fundamentals),
        ('loaded', '-infinity', NULL, needs.loaded),
        ('refreshed', '-infinity', NULL, needs.refreshed)
    ) AS work (kind, since, until, assets)
    WHERE work.since IS NOT NULL AND work.assets > 0
    GROUP BY needs.exchange_id, work.kind, work.since, work.until
)
SELECT summed.exchange_id, summed.kind, lacking.sessions, sum(summed.assets)::integer
FROM summed
CROSS JOIN LATERAL (
    SELECT CASE WHEN summed.since <> '-infinity' THEN (
        SELECT count(*)::integer FROM financial_screener.exchange_sessions AS lacking
        WHERE lacking.exchange_id = summed.exchange_id AND lacking.session > summed.since AND lacking.session <= summed.until
    ) END AS sessions
) AS lacking
GROUP BY summed.exchange_id, summed.kind, lacking.sessions
