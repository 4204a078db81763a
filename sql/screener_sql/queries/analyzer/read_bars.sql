-- The last bars of each asset up to its date (NULL: all of them), oldest first.
SELECT wanted.asset_id, bar.date, bar.open, bar.high, bar.low, bar.close, bar.adj_close, bar.volume
FROM unnest(%(asset_ids)s::integer[], %(until)s::date[]) AS wanted (asset_id, until)
CROSS JOIN LATERAL (
    SELECT price.date, price.open, price.high, price.low, price.close, price.adj_close, price.volume
    FROM financial_screener.stock_prices AS price
    WHERE price.asset_id = wanted.asset_id AND price.date <= coalesce(wanted.until, 'infinity'::date)
    ORDER BY price.date DESC
    LIMIT %(bars)s::integer
) AS bar
ORDER BY wanted.asset_id, bar.date
