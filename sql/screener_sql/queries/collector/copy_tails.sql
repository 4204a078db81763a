-- The last bars of assets before a day, newest first. LATERAL: each asset's end is read by the key, from the newest partition back until there are enough.
COPY (
    SELECT bar.asset_id, bar.date, bar.open, bar.high, bar.low, bar.close, bar.adj_close, bar.volume
    FROM unnest(%(asset_ids)s::integer[]) AS wanted (asset_id)
    CROSS JOIN LATERAL (
        SELECT * FROM financial_screener.stock_prices AS bar
        WHERE bar.asset_id = wanted.asset_id AND bar.date < %(before)s::date
        ORDER BY bar.date DESC
        LIMIT %(count)s::integer
    ) AS bar
) TO STDOUT (FORMAT binary)
