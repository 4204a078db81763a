-- The queue, a row for each request of a single asset or place on a page: from now on it is joined by asset. Numbers are those of order.sql.
-- step: 1 prices, 2 splits, 3 dividends (an asset's two actions have places one after the other), 4 fundamentals, 5 histories fetched again.
CREATE TEMPORARY TABLE queue ON COMMIT DROP AS
WITH member AS NOT MATERIALIZED (
    SELECT ordered.step, ordered.exchange_id, (member.number >> 3 & 2147483647)::integer AS asset_id, (member.number & 7)::integer AS kinds,
           member.place
    FROM ordered
    CROSS JOIN LATERAL unnest(ordered.numbers) WITH ORDINALITY AS member (number, place)
), by_session AS (
    SELECT asset_id, kinds, sum(kinds & 1) OVER so_far AS prices, sum((kinds >> 1 & 1) + (kinds >> 2)) OVER so_far AS actions
    FROM member
    WHERE step = 1
    WINDOW so_far AS (ORDER BY place ROWS UNBOUNDED PRECEDING)
)
SELECT work.step, asset_id, NULL::smallint AS exchange_id, NULL::integer AS page,
       (CASE work.step WHEN 1 THEN prices WHEN 2 THEN actions - (kinds >> 2) ELSE actions END)::integer AS rank
FROM by_session
JOIN (VALUES (1::smallint, 1), (2::smallint, 2), (3::smallint, 4)) AS work (step, kind) ON kinds & work.kind > 0
UNION ALL
SELECT step, asset_id, exchange_id, CASE WHEN exchange_id IS NOT NULL THEN ((place - 1) / %(page_size)s::integer)::integer END, place::integer
FROM member
WHERE step > 1
