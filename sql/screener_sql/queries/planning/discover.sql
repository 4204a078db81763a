-- Delta discovery, in one statement that reads each asset once: what each needs, kept by likeness for the order, and how many assets of each
-- exchange need what: of prices, splits and dividends by the sessions that they lack, NULL where the whole history is wanted.
WITH found AS (
    INSERT INTO needs
    SELECT need.exchange_id, need.prices_since, need.splits_since, need.dividends_since, need.checked_to, need.fundamentals_due,
           CASE WHEN need.fundamentals_due THEN need.fundamentals_at::date END,
           count(*) FILTER (WHERE need.prices_loaded),
           count(*) FILTER (WHERE need.refreshed_at >= %(today)s::timestamptz),
           array_agg(need.asset_id)
    FROM financial_screener.asset_needs(
        %(exchange_ids)s::smallint[], %(named)s::integer[], %(prices_to)s::date[], %(actions_to)s::date[],
        %(asset_types)s::text[], %(operations)s::text[], %(history_from)s::date, %(now)s::timestamptz) AS need
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    RETURNING exchange_id, prices_since, splits_since, dividends_since, fundamentals_due, loaded, refreshed, cardinality(assets) AS assets
), summed AS (
    SELECT found.exchange_id, work.kind, work.since, work.until, sum(work.assets) AS assets
    FROM found
    CROSS JOIN LATERAL (VALUES
        ('prices', found.prices_since, (%(prices_to)s::date[])[found.exchange_id], found.assets),
        ('splits', found.splits_since, (%(actions_to)s::date[])[found.exchange_id], found.assets),
        ('dividends', found.dividends_since, (%(actions_to)s::date[])[found.exchange_id], found.assets),
        ('fundamentals', '-infinity', NULL, CASE WHEN found.fundamentals_due THEN found.assets ELSE 0 END),
        ('loaded', '-infinity', NULL, found.loaded),
        ('refreshed', '-infinity', NULL, found.refreshed)
    ) AS work (kind, since, until, assets)
    WHERE work.since IS NOT NULL AND work.assets > 0
    GROUP BY found.exchange_id, work.kind, work.since, work.until
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
