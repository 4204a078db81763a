-- Delta discovery, in one statement that reads each asset once: what each needs, kept by likeness, and how many assets of each exchange need
-- what: of prices, splits and dividends by the sessions that they lack, NULL where the whole history is wanted; and the earliest day since when
-- one of these lacks them, as text, for there may be none. What they need is a matter of the few kinds of assets, not of each: of prices, splits
-- and dividends the day from which on they are not known, -infinity where the whole history is wanted, NULL where nothing is due or what failed
-- backs off. prices_to, actions_to: the newest sessions to expect, by exchange id; -infinity where there is none. A longer history than was
-- asked for before makes an asset due only when it is longer by a month, so that a window that slides by days does not.
WITH alike AS (
    SELECT exchange_id,
           -- One number, as every key is hashed and compared for each asset, and at once 0 for nearly all of them: 1 never loaded, 2 wanted
           -- again, 4 doubted, 8 of a shorter history than is asked for; backing off: 16 prices, 32 actions, 64 fundamentals.
           CASE WHEN prices_loaded AND NOT needs_prices_reprocess AND wanted_to IS NULL AND NOT prices_doubted
                     AND (prices_checked_from > %(history_from)s::date + 31) IS NOT TRUE
                     AND prices_next_attempt_at IS NULL AND actions_next_attempt_at IS NULL AND fundamentals_next_attempt_at IS NULL
                THEN 0
                ELSE CASE WHEN prices_loaded THEN 0 ELSE 1 END
                     + CASE WHEN needs_prices_reprocess OR wanted_to IS NOT NULL THEN 2 ELSE 0 END
                     + CASE WHEN prices_doubted THEN 4 ELSE 0 END
                     + CASE WHEN prices_checked_from > %(history_from)s::date + 31 THEN 8 ELSE 0 END
                     + CASE WHEN prices_next_attempt_at > %(now)s::timestamptz THEN 16 ELSE 0 END
                     + CASE WHEN actions_next_attempt_at > %(now)s::timestamptz THEN 32 ELSE 0 END
                     + CASE WHEN fundamentals_next_attempt_at > %(now)s::timestamptz THEN 64 ELSE 0 END
           END AS flags,
           prices_checked_to, splits_checked_to, dividends_checked_to,
           -- Of fundamentals that are due: when they were loaded, -infinity for never; NULL: they are not due.
           CASE WHEN 'fundamentals' = ANY (%(operations)s::text[])
                     AND (NOT fundamentals_loaded AND fundamental_refresh_frequency <> 'never' OR needs_fundamentals_reprocess
                          OR next_fundamental_refresh <= (%(now)s::timestamptz AT TIME ZONE 'UTC')::date
                             AND fundamental_refresh_frequency <> 'never')
                     AND (fundamentals_next_attempt_at > %(now)s::timestamptz) IS NOT TRUE AND wanted_to IS NULL
                THEN coalesce(fundamentals_loaded_at::date, '-infinity') END AS fundamentals_on,
           count(*) FILTER (WHERE prices_refreshed_at >= %(today)s::timestamptz) AS refreshed,
           array_agg(asset_id) AS assets
    FROM financial_screener.assets_in_scope(%(exchange_ids)s::smallint[], %(named)s::integer[], %(asset_types)s::text[])
    GROUP BY 1, 2, 3, 4, 5, 6
), judged AS (
    SELECT alike.*, flags & 1 = 0 AS prices_loaded, flags & 2 > 0 AS wanted_again, flags & 4 > 0 AS prices_doubted, flags & 8 > 0 AS longer,
           flags & 112 > 0 AS backing_off,
           NOT 'prices' = ANY (%(operations)s::text[]) OR flags & 16 > 0 AS prices_wait,
           NOT 'prices' = ANY (%(operations)s::text[]) OR (%(actions_to)s::date[])[exchange_id] = '-infinity'
           OR flags & 32 > 0 OR flags & 17 = 17 AS actions_wait
    FROM alike
), found AS (
    INSERT INTO needs
    SELECT exchange_id,
           CASE WHEN prices_wait THEN NULL
                WHEN NOT prices_loaded OR wanted_again OR prices_checked_to IS NULL OR longer THEN date '-infinity'
                WHEN prices_checked_to < (%(prices_to)s::date[])[exchange_id]
                THEN CASE WHEN prices_doubted THEN date '-infinity' ELSE prices_checked_to END END,
           CASE WHEN actions_wait THEN NULL
                WHEN splits_checked_to IS NULL OR longer THEN date '-infinity'
                WHEN splits_checked_to < (%(actions_to)s::date[])[exchange_id] THEN splits_checked_to END,
           CASE WHEN actions_wait THEN NULL
                WHEN dividends_checked_to IS NULL OR longer THEN date '-infinity'
                WHEN dividends_checked_to < (%(actions_to)s::date[])[exchange_id] THEN dividends_checked_to END,
           prices_checked_to, fundamentals_on IS NOT NULL, nullif(fundamentals_on, '-infinity'), backing_off, prices_loaded,
           refreshed, assets
    FROM judged
    RETURNING exchange_id, prices_since, splits_since, dividends_since, fundamentals_due, prices_loaded, refreshed,
              cardinality(assets) AS assets
), summed AS (
    SELECT found.exchange_id, work.kind, work.since, work.until, sum(work.assets) AS assets
    FROM found
    CROSS JOIN LATERAL (VALUES
        ('prices', found.prices_since, (%(prices_to)s::date[])[found.exchange_id], found.assets),
        ('splits', found.splits_since, (%(actions_to)s::date[])[found.exchange_id], found.assets),
        ('dividends', found.dividends_since, (%(actions_to)s::date[])[found.exchange_id], found.assets),
        ('fundamentals', '-infinity', NULL, CASE WHEN found.fundamentals_due THEN found.assets ELSE 0 END),
        ('loaded', '-infinity', NULL, CASE WHEN found.prices_loaded THEN found.assets ELSE 0 END),
        ('refreshed', '-infinity', NULL, found.refreshed)
    ) AS work (kind, since, until, assets)
    WHERE work.since IS NOT NULL AND work.assets > 0
    GROUP BY found.exchange_id, work.kind, work.since, work.until
)
SELECT summed.exchange_id, summed.kind, lacking.sessions, sum(summed.assets)::integer, min(summed.since)::text
FROM summed
CROSS JOIN LATERAL (
    SELECT CASE WHEN summed.since <> '-infinity' THEN (
        SELECT count(*)::integer FROM financial_screener.exchange_sessions AS lacking
        WHERE lacking.exchange_id = summed.exchange_id AND lacking.session > summed.since AND lacking.session <= summed.until
    ) END AS sessions
) AS lacking
GROUP BY summed.exchange_id, summed.kind, lacking.sessions
