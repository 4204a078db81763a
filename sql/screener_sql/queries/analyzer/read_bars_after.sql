-- The bars of each asset after a day of its own, packed as `read_bars` packs them.
-- LATERAL with OFFSET 0 reads them by the primary key of the partitions that hold such days, whatever the planner believes of their number;
-- by the first of the days (first) most partitions are left out before it begins.
WITH wanted AS (
    SELECT * FROM unnest(%(asset_ids)s::integer[], %(after)s::date[]) AS wanted (asset_id, after)
)
SELECT bar.asset_id, string_agg(bar.packed, ''::bytea)
FROM (
    SELECT wanted.asset_id, price.packed
    FROM wanted
    CROSS JOIN LATERAL (
        SELECT date_send(date) || float8send(open) || float8send(high) || float8send(low) || float8send(close) || float8send(adj_close)
                   || int8send(volume) AS packed
        FROM financial_screener.stock_prices AS price
        WHERE price.asset_id = wanted.asset_id AND price.date > wanted.after AND price.date > %(first)s::date AND price.date <= %(until)s::date
        OFFSET 0
    ) AS price
    UNION ALL
    SELECT hole.asset_id, financial_screener.packed_hole(hole.date)
    FROM financial_screener.bar_holes AS hole
    JOIN wanted ON wanted.asset_id = hole.asset_id AND hole.date > wanted.after
    WHERE hole.asset_id = ANY (%(asset_ids)s::integer[])
      AND EXISTS (
          SELECT FROM financial_screener.stock_prices AS later
          WHERE later.asset_id = hole.asset_id AND later.date > hole.date AND later.date > %(first)s::date AND later.date <= %(until)s::date
      )
) AS bar
GROUP BY bar.asset_id
