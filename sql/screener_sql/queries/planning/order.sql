-- The order of what goes by requests of single assets, or on a page of fundamentals: within a kind of work what its owner always wants first,
-- then the stalest (never loaded before all), then the most wanted; what may be skipped when calls are short comes last. All that is in one
-- number, which sorts several times faster than its parts and as a plain value: from the top its class (0 where nothing is wished), the day, the
-- wish (0 likewise), the asset from bit 3 on, and below it what of its prices (1), splits (2) and dividends (4) is asked for. step: 1 prices and
-- actions, 4 fundamentals. on_pages: by exchange id, how many of its fundamentals go on pages of named symbols.
INSERT INTO ordered (step, exchange_id, numbers)
WITH wish AS MATERIALIZED (
    SELECT state.asset_id,
           (CASE WHEN wish.always_process THEN -1 WHEN wish.skip_when_limited THEN 1 ELSE 0 END::bigint << 60)
           + ((wish.priority - 3)::bigint << 35) AS wanted
    FROM financial_screener.api_ticker_priority AS wish
    JOIN financial_screener.asset_processing_state AS state ON state.ticker = wish.ticker
), due AS NOT MATERIALIZED ( -- its few groups are read twice rather than its assets kept
    SELECT exchange_id, day + coalesce(wanted, 0) + (asset_id::bigint << 3) AS number
    FROM (
        SELECT exchange_id, coalesce(fundamentals_on - date '0001-01-01', 0)::bigint << 39 AS day, unnest(assets) AS asset_id
        FROM needs
        WHERE fundamentals_due
    ) AS member
    LEFT JOIN wish USING (asset_id)
), paged AS MATERIALIZED (
    SELECT exchange.id::smallint AS exchange_id, places,
           (SELECT array_agg(number ORDER BY number) FROM due WHERE due.exchange_id = exchange.id) AS numbers
    FROM unnest(%(on_pages)s::integer[]) WITH ORDINALITY AS exchange (places, id)
    WHERE places > 0
)
SELECT 1::smallint, NULL::smallint, array_agg(number ORDER BY number)
FROM (
    SELECT day + kinds + coalesce(wanted, 0) + (asset_id::bigint << 3) AS number
    FROM (
        SELECT kinds, coalesce(checked_to - date '0001-01-01', 0)::bigint << 39 AS day, unnest(assets) AS asset_id
        FROM (
            SELECT assets, checked_to,
                   CASE WHEN prices_since < (%(prices_cut)s::date[])[exchange_id] THEN 1 ELSE 0 END
                   + CASE WHEN splits_since < (%(splits_cut)s::date[])[exchange_id] THEN 2 ELSE 0 END
                   + CASE WHEN dividends_since < (%(dividends_cut)s::date[])[exchange_id] THEN 4 ELSE 0 END AS kinds
            FROM needs
        ) AS judged
        WHERE kinds > 0
    ) AS member
    LEFT JOIN wish USING (asset_id)
) AS alone
UNION ALL
SELECT 4::smallint, exchange_id, numbers[:places] FROM paged
UNION ALL
SELECT 4::smallint, NULL, array_agg(number ORDER BY number)
FROM (
    SELECT number FROM due WHERE ((%(on_pages)s::integer[])[exchange_id] > 0) IS NOT TRUE
    UNION ALL
    SELECT unnest(numbers[places + 1:]) FROM paged
) AS single
