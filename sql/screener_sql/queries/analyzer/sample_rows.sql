-- Rows as they are stored, read back, with the bars of each asset up to its row's day, all that are stored, packed as `read_bars` packs
-- them. Without assets whose bars have changed since they were read.
SELECT asset.ticker, stored.calculation_date, history.bars, ARRAY[{columns}]::double precision[]
FROM financial_screener.technical_indicators AS stored
JOIN financial_screener.assets AS asset ON asset.id = stored.asset_id
JOIN financial_screener.asset_processing_state AS state ON state.asset_id = stored.asset_id
JOIN unnest(%(asset_ids)s::integer[], %(days)s::date[]) AS sampled (asset_id, day)
    ON stored.asset_id = sampled.asset_id AND stored.calculation_date = sampled.day
CROSS JOIN LATERAL (
    SELECT string_agg(
               date_send(date) || float8send(open) || float8send(high) || float8send(low) || float8send(close)
                   || float8send(adj_close) || int8send(volume),
               ''::bytea
           ) AS bars
    FROM financial_screener.stock_prices AS price
    WHERE price.asset_id = stored.asset_id AND price.date <= stored.calculation_date
) AS history
WHERE state.prices_changed_at IS NULL OR state.prices_changed_at <= %(read_at)s::timestamptz
