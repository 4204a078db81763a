-- The queue, a row for each request of a single asset or place on a page: from now on it is joined by asset.
CREATE TEMPORARY TABLE queue ON COMMIT DROP AS
SELECT ordered.step, member.asset_id, ordered.exchange_id,
       CASE WHEN ordered.exchange_id IS NOT NULL THEN ((member.place - 1) / %(page_size)s::integer)::integer END AS page,
       coalesce(member.rank, member.place)::integer AS rank
FROM ordered
CROSS JOIN LATERAL unnest(ordered.assets, ordered.ranks) WITH ORDINALITY AS member (asset_id, rank, place)
