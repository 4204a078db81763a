-- Rows as they are stored, read back, with the bars of each asset up to its row's day, all that are stored, packed as `read_bars` packs
-- them, the asset's splits, its exchange and how many of the unit of its prices make one of its currency. Without assets whose bars
-- have changed since they were read, or its exchange's benchmark's. All columns, the stored ones last: the statement is one for all runs.
SELECT asset.ticker, stored.calculation_date, history.bars, splits.found, asset.exchange_id, unit.per_major::double precision,
       stored.*
FROM financial_screener.technical_indicators AS stored
JOIN financial_screener.assets AS asset ON asset.id = stored.asset_id
JOIN financial_screener.asset_processing_state AS state ON state.asset_id = stored.asset_id
JOIN unnest(%(asset_ids)s::integer[], %(days)s::date[]) AS sampled (asset_id, day)
    ON stored.asset_id = sampled.asset_id AND stored.calculation_date = sampled.day
LEFT JOIN LATERAL financial_screener.unit_of(asset.currency) AS unit ON true
CROSS JOIN LATERAL (
    SELECT string_agg(bar.packed, ''::bytea) AS bars
    FROM (
        SELECT date_send(date) || float8send(open) || float8send(high) || float8send(low) || float8send(close)
                   || float8send(adj_close) || int8send(volume) AS packed
        FROM financial_screener.stock_prices AS price
        WHERE price.asset_id = stored.asset_id AND price.date <= stored.calculation_date
        UNION ALL
        SELECT financial_screener.packed_hole(date)
        FROM financial_screener.bar_holes AS hole
        WHERE hole.asset_id = stored.asset_id AND hole.date <= stored.calculation_date
    ) AS bar
) AS history
CROSS JOIN LATERAL (
    SELECT array_agg(
               ARRAY[(action.ex_date - date '2000-01-01')::double precision, action.split_new / action.split_old]
           ) AS found
    FROM financial_screener.corporate_actions AS action
    WHERE action.asset_id = stored.asset_id AND action.kind = 'split' AND action.withdrawn_at IS NULL
      AND action.split_new > 0 AND action.split_old > 0
      AND action.ex_date <= (SELECT max(price.date) FROM financial_screener.stock_prices AS price WHERE price.asset_id = stored.asset_id)
) AS splits
WHERE (state.prices_changed_at IS NULL OR state.prices_changed_at <= %(read_at)s::timestamptz)
  AND NOT EXISTS (
      SELECT FROM financial_screener.exchanges AS exchange
      JOIN financial_screener.assets AS benchmark ON benchmark.ticker = exchange.benchmark AND benchmark.kind = 'index'
      JOIN financial_screener.asset_processing_state AS its ON its.asset_id = benchmark.id
      WHERE exchange.id = asset.exchange_id AND its.prices_changed_at > %(read_at)s::timestamptz
  )
