-- The last bars of each asset up to a day, as many as are asked for, packed as `read_bars` packs them, and with holes as there: those that a bar up
-- to the last day follows.
SELECT wanted.asset_id, string_agg(bar.packed, ''::bytea)
FROM unnest(%(asset_ids)s::integer[]) AS wanted (asset_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM (
        (
            SELECT date,
                   date_send(date) || float8send(open) || float8send(high) || float8send(low) || float8send(close)
                       || float8send(adj_close) || int8send(volume) AS packed
            FROM financial_screener.stock_prices AS price
            WHERE price.asset_id = wanted.asset_id AND price.date <= %(until)s::date
            ORDER BY date DESC
            LIMIT %(bars)s::integer
        )
        UNION ALL
        SELECT date, financial_screener.packed_hole(date)
        FROM financial_screener.bar_holes AS hole
        WHERE hole.asset_id = wanted.asset_id AND hole.date <= %(until)s::date
          AND EXISTS (
              SELECT FROM financial_screener.stock_prices AS later
              WHERE later.asset_id = hole.asset_id AND later.date > hole.date AND later.date <= %(last)s::date
          )
    ) AS either
    ORDER BY date DESC
    LIMIT %(bars)s::integer
) AS bar
GROUP BY wanted.asset_id
