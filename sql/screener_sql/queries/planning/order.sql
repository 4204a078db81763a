-- The order of what goes by requests of single assets, or on a page of fundamentals: within a kind of work what its owner always wants first,
-- then the stalest (never loaded before all), then the most wanted; what may be skipped when calls are short comes last. All that is in one
-- number, which sorts several times faster than its parts: from the top its class (1 where nothing is wished), the day, the wish (3 likewise)
-- and the asset. step: 1 prices, 2 splits, 3 dividends (an asset's two actions have places one after the other), 4 fundamentals. on_pages: by
-- exchange id, how many of its fundamentals go on pages of named symbols.
INSERT INTO ordered (step, exchange_id, assets, ranks)
WITH wish AS MATERIALIZED (
    SELECT state.asset_id,
           (CASE WHEN wish.always_process THEN 0 WHEN wish.skip_when_limited THEN 2 ELSE 1 END::bigint << 56)
           + (wish.priority::bigint << 32) AS wanted
    FROM financial_screener.api_ticker_priority AS wish
    JOIN financial_screener.asset_processing_state AS state ON state.ticker = wish.ticker
), alone AS (
    SELECT *
    FROM (
        SELECT assets, coalesce(checked_to - date '0001-01-01', 0)::bigint << 36 AS day,
               prices_since IS NOT NULL AND prices_since < (%(prices_cut)s::date[])[exchange_id] AS prices,
               (splits_since IS NOT NULL AND splits_since < (%(splits_cut)s::date[])[exchange_id])::integer AS splits,
               (dividends_since IS NOT NULL AND dividends_since < (%(dividends_cut)s::date[])[exchange_id])::integer AS dividends
        FROM needs
    ) AS judged
    WHERE prices OR splits + dividends > 0
), by_session AS (
    SELECT array_agg(asset_id) FILTER (WHERE prices) AS prices,
           array_agg(asset_id) FILTER (WHERE splits = 1) AS splits,
           array_agg(place - dividends) FILTER (WHERE splits = 1) AS places_of_splits,
           array_agg(asset_id) FILTER (WHERE dividends = 1) AS dividends,
           array_agg(place) FILTER (WHERE dividends = 1) AS places_of_dividends
    FROM (
        SELECT asset_id, prices, splits, dividends,
               (sum(splits + dividends) OVER (
                   ORDER BY day + coalesce(wish.wanted, (1::bigint << 56) + (3::bigint << 32)) + asset_id ROWS UNBOUNDED PRECEDING
               ))::integer AS place
        FROM (SELECT unnest(assets) AS asset_id, day, prices, splits, dividends FROM alone) AS member
        LEFT JOIN wish USING (asset_id)
    ) AS placed
), due AS MATERIALIZED (
    SELECT exchange_id, array_agg(number ORDER BY number) AS numbers
    FROM (
        SELECT member.exchange_id, day + coalesce(wish.wanted, (1::bigint << 56) + (3::bigint << 32)) + asset_id AS number
        FROM (
            SELECT unnest(assets) AS asset_id, coalesce(fundamentals_on - date '0001-01-01', 0)::bigint << 36 AS day,
                   CASE WHEN (%(on_pages)s::integer[])[exchange_id] > 0 THEN exchange_id END AS exchange_id
            FROM needs
            WHERE fundamentals_due
        ) AS member
        LEFT JOIN wish USING (asset_id)
    ) AS numbered
    GROUP BY exchange_id
)
SELECT work.step, NULL::smallint, work.assets, work.ranks
FROM by_session
CROSS JOIN LATERAL (
    VALUES (1::smallint, prices, NULL::integer[]), (2::smallint, splits, places_of_splits), (3::smallint, dividends, places_of_dividends)
) AS work (step, assets, ranks)
UNION ALL
SELECT 4::smallint, exchange_id, ARRAY(
    SELECT (number & 4294967295)::integer FROM unnest(numbers[:(%(on_pages)s::integer[])[exchange_id]]) AS paged (number)
), NULL
FROM due
WHERE exchange_id IS NOT NULL
UNION ALL
SELECT 4::smallint, NULL, array_agg((number & 4294967295)::integer), NULL
FROM (
    SELECT unnest(CASE WHEN exchange_id IS NULL THEN numbers ELSE numbers[(%(on_pages)s::integer[])[exchange_id] + 1:] END) AS number
    FROM due
    ORDER BY number
) AS single
