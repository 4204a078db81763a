-- The queue of what goes by requests of single assets, or on a page of fundamentals: within a kind of work what its owner always wants
-- first, then the stalest (never loaded before all), then the most wanted; what may be skipped when calls are short comes last. step: 1
-- prices, 2 splits, 3 dividends, 4 fundamentals. on_pages: by exchange id, how many of its fundamentals go on pages of named symbols.
CREATE TEMPORARY TABLE queue ON COMMIT DROP AS
WITH picked AS MATERIALIZED (
    SELECT need.asset_id, need.exchange_id, need.checked_to, need.fundamentals_at::date AS fundamentals_on, need.fundamentals_due,
           need.prices_since < (%(prices_cut)s::date[])[need.exchange_id] AS prices_alone,
           need.splits_since < (%(splits_cut)s::date[])[need.exchange_id] AS splits_alone,
           need.dividends_since < (%(dividends_cut)s::date[])[need.exchange_id] AS dividends_alone,
           need.ticker
    FROM financial_screener.asset_needs(
        %(exchange_ids)s::smallint[], %(named)s::integer[], %(prices_to)s::date[], %(actions_to)s::date[],
        %(asset_types)s::text[], %(operations)s::text[], %(history_from)s::date, %(now)s::timestamptz) AS need
    WHERE need.prices_since < (%(prices_cut)s::date[])[need.exchange_id]
       OR need.splits_since < (%(splits_cut)s::date[])[need.exchange_id]
       OR need.dividends_since < (%(dividends_cut)s::date[])[need.exchange_id]
       OR need.fundamentals_due
), wished AS (
    SELECT picked.*, coalesce(wish.priority, 3) AS priority,
           CASE WHEN wish.always_process THEN 0 WHEN wish.skip_when_limited THEN 2 ELSE 1 END AS class
    FROM picked
    LEFT JOIN financial_screener.api_ticker_priority AS wish ON wish.ticker = picked.ticker
), paged AS (
    SELECT *, row_number() OVER (PARTITION BY exchange_id ORDER BY class, fundamentals_on NULLS FIRST, priority, asset_id) AS place
    FROM wished
    WHERE fundamentals_due
)
SELECT 1::smallint AS step, asset_id, exchange_id, NULL::integer AS page,
       (row_number() OVER (ORDER BY class, checked_to NULLS FIRST, priority, asset_id))::integer AS rank
FROM wished
WHERE prices_alone
UNION ALL
SELECT action.step::smallint, asset_id, exchange_id, NULL,
       (row_number() OVER (ORDER BY class, checked_to NULLS FIRST, priority, asset_id, action.step))::integer
FROM wished
CROSS JOIN LATERAL (VALUES (2, splits_alone), (3, dividends_alone)) AS action (step, alone)
WHERE (splits_alone OR dividends_alone) AND action.alone
UNION ALL
SELECT 4::smallint, asset_id, exchange_id,
       CASE WHEN place <= (%(on_pages)s::integer[])[exchange_id] THEN (place - 1) / %(page_size)s::integer END,
       (row_number() OVER (
           PARTITION BY place <= (%(on_pages)s::integer[])[exchange_id] ORDER BY class, fundamentals_on NULLS FIRST, priority, asset_id
       ))::integer
FROM paged
