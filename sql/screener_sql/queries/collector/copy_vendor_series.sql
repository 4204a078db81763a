-- Assets' bars as the vendor gave them last: those stored, and those that a rule of series has set aside.
COPY (
    SELECT asset_id, date, open, high, low, close, adj_close, volume FROM financial_screener.stock_prices
    WHERE asset_id = ANY (%(asset_ids)s::integer[])
    UNION ALL
    SELECT bar.asset_id, bar.date, (bar.bar ->> 'open')::double precision, (bar.bar ->> 'high')::double precision,
           (bar.bar ->> 'low')::double precision, (bar.bar ->> 'close')::double precision,
           (bar.bar ->> 'adjusted_close')::double precision, (bar.bar ->> 'volume')::bigint
    FROM financial_screener.quarantined_bars AS bar
    JOIN financial_screener.data_rules AS rule ON rule.rule = bar.rule AND rule.scope = 'series'
    WHERE bar.asset_id = ANY (%(asset_ids)s::integer[]) AND bar.released_at IS NULL
      AND NOT EXISTS (
          SELECT FROM financial_screener.stock_prices AS stored WHERE stored.asset_id = bar.asset_id AND stored.date = bar.date
      )
    ORDER BY 1, 2
) TO STDOUT (FORMAT binary)
