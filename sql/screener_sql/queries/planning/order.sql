-- The queue of what goes by requests of single assets, or on a page of fundamentals: within a kind of work what its owner always wants
-- first, then the stalest (never loaded before all), then the most wanted; what may be skipped when calls are short comes last. step: 1
-- prices, 2 splits, 3 dividends, 4 fundamentals. on_pages: by exchange id, how many of its fundamentals go on pages of named symbols.
CREATE TEMPORARY TABLE queue ON COMMIT DROP AS
WITH wish AS MATERIALIZED (
    SELECT state.asset_id, wish.priority, CASE WHEN wish.always_process THEN 0 WHEN wish.skip_when_limited THEN 2 ELSE 1 END AS class
    FROM financial_screener.api_ticker_priority AS wish
    JOIN financial_screener.asset_processing_state AS state ON state.ticker = wish.ticker
), alike AS MATERIALIZED (
    SELECT exchange_id, checked_to, fundamentals_on, fundamentals_due, assets,
           prices_since IS NOT NULL AND prices_since < (%(prices_cut)s::date[])[exchange_id] AS prices_alone,
           (splits_since IS NOT NULL AND splits_since < (%(splits_cut)s::date[])[exchange_id])::integer AS splits_alone,
           (dividends_since IS NOT NULL AND dividends_since < (%(dividends_cut)s::date[])[exchange_id])::integer AS dividends_alone,
           fundamentals_due AND (%(on_pages)s::integer[])[exchange_id] > 0 AS may_be_paged
    FROM needs
), picked AS MATERIALIZED (
    SELECT alike.exchange_id, alike.checked_to, alike.fundamentals_on, alike.fundamentals_due, alike.may_be_paged, alike.prices_alone,
           alike.splits_alone, alike.dividends_alone, member.asset_id, coalesce(wish.priority, 3) AS priority, coalesce(wish.class, 1) AS class
    FROM alike
    CROSS JOIN LATERAL unnest(alike.assets) AS member (asset_id)
    LEFT JOIN wish ON wish.asset_id = member.asset_id
    WHERE alike.prices_alone OR alike.splits_alone + alike.dividends_alone > 0 OR alike.fundamentals_due
), by_session AS MATERIALIZED (
    SELECT asset_id, exchange_id, prices_alone, splits_alone, dividends_alone,
           count(*) FILTER (WHERE prices_alone) OVER place AS prices_rank,
           sum(splits_alone + dividends_alone) OVER place AS actions_rank
    FROM picked
    WHERE prices_alone OR splits_alone + dividends_alone > 0
    WINDOW place AS (ORDER BY class, checked_to NULLS FIRST, priority, asset_id ROWS UNBOUNDED PRECEDING)
), paged AS MATERIALIZED (
    SELECT asset_id, exchange_id, class, fundamentals_on, priority, place, place <= (%(on_pages)s::integer[])[exchange_id] AS on_page
    FROM (
        SELECT *, row_number() OVER (PARTITION BY exchange_id ORDER BY class, fundamentals_on NULLS FIRST, priority, asset_id) AS place
        FROM picked
        WHERE may_be_paged
    ) AS placed
)
SELECT 1::smallint AS step, asset_id, exchange_id, NULL::integer AS page, prices_rank::integer AS rank
FROM by_session
WHERE prices_alone
UNION ALL
SELECT 2::smallint, asset_id, exchange_id, NULL, (actions_rank - dividends_alone)::integer
FROM by_session
WHERE splits_alone = 1
UNION ALL
SELECT 3::smallint, asset_id, exchange_id, NULL, actions_rank::integer
FROM by_session
WHERE dividends_alone = 1
UNION ALL
SELECT 4::smallint, asset_id, exchange_id, ((place - 1) / %(page_size)s::integer)::integer, place::integer
FROM paged
WHERE on_page
UNION ALL
SELECT 4::smallint, asset_id, exchange_id, NULL,
       (row_number() OVER (ORDER BY class, fundamentals_on NULLS FIRST, priority, asset_id))::integer
FROM (
    SELECT asset_id, exchange_id, class, fundamentals_on, priority FROM picked WHERE fundamentals_due AND NOT may_be_paged
    UNION ALL
    SELECT asset_id, exchange_id, class, fundamentals_on, priority FROM paged WHERE NOT on_page
) AS single
