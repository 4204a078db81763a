-- The bars of each asset in a range of days, packed one after another in no particular order; no row for an asset without any. A bar of a
-- session that is set aside, between others, is there with NaN for its prices.
SELECT bar.asset_id, string_agg(bar.packed, ''::bytea)
FROM (
    SELECT asset_id,
           date_send(date) || float8send(open) || float8send(high) || float8send(low) || float8send(close) || float8send(adj_close)
               || int8send(volume) AS packed
    FROM financial_screener.stock_prices
    WHERE asset_id = ANY (%(asset_ids)s::integer[]) AND date > %(after)s::date AND date <= %(until)s::date
    UNION ALL
    SELECT hole.asset_id, financial_screener.packed_hole(hole.date)
    FROM financial_screener.bar_holes AS hole
    WHERE hole.asset_id = ANY (%(asset_ids)s::integer[]) AND hole.date > %(after)s::date
      AND EXISTS (
          SELECT FROM financial_screener.stock_prices AS later
          WHERE later.asset_id = hole.asset_id AND later.date > hole.date AND later.date <= %(until)s::date
      )
) AS bar
GROUP BY bar.asset_id
