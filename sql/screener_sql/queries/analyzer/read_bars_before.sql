-- The last bars of each asset up to a day, as many as are asked for, packed as `read_bars` packs them.
SELECT wanted.asset_id,
       string_agg(
           date_send(bar.date) || float8send(bar.open) || float8send(bar.high) || float8send(bar.low) || float8send(bar.close)
               || float8send(bar.adj_close) || int8send(bar.volume),
           ''::bytea
       )
FROM unnest(%(asset_ids)s::integer[]) AS wanted (asset_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM financial_screener.stock_prices AS price
    WHERE price.asset_id = wanted.asset_id AND price.date <= %(until)s::date
    ORDER BY price.date DESC
    LIMIT %(bars)s::integer
) AS bar
GROUP BY wanted.asset_id
