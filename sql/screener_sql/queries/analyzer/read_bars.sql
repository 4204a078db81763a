-- The bars of each asset in a range of days, packed one after another in no particular order; no row for an asset without any.
SELECT asset_id,
       string_agg(
           date_send(date) || float8send(open) || float8send(high) || float8send(low) || float8send(close) || float8send(adj_close)
               || int8send(volume),
           ''::bytea
       )
FROM financial_screener.stock_prices
WHERE asset_id = ANY (%(asset_ids)s::integer[]) AND date > %(after)s::date AND date <= %(until)s::date
GROUP BY asset_id
