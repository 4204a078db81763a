-- The last bars of assets before a day, of each packed one after another, newest first; no row for an asset without any. A value for every
-- asset and not a row for every bar, which the client would take one by one.
-- LATERAL: each asset's end is read by the key, from the newest partition back until there are enough, and packed in that order.
SELECT wanted.asset_id, tail.packed
FROM unnest(%(asset_ids)s::integer[]) AS wanted (asset_id)
CROSS JOIN LATERAL (
    SELECT string_agg(date_send(bar.date) || float8send(bar.open) || float8send(bar.high) || float8send(bar.low)
                      || float8send(bar.close) || float8send(bar.adj_close) || int8send(bar.volume), ''::bytea) AS packed
    FROM (
        SELECT * FROM financial_screener.stock_prices AS bar
        WHERE bar.asset_id = wanted.asset_id AND bar.date < %(before)s::date
        ORDER BY bar.date DESC
        LIMIT %(count)s::integer
    ) AS bar
) AS tail
WHERE tail.packed IS NOT NULL
