-- Changes the stored bars that came in otherwise; how many of each asset.
WITH changed AS (
    UPDATE financial_screener.stock_prices AS bar
    SET open = incoming.open, high = incoming.high, low = incoming.low, close = incoming.close,
        adj_close = incoming.adj_close, volume = incoming.volume
    FROM incoming_bars AS incoming
    WHERE bar.asset_id = incoming.asset_id AND bar.date = incoming.date
      AND bar.date BETWEEN %(first)s::date AND %(last)s::date
      AND (bar.open, bar.high, bar.low, bar.close, bar.adj_close, bar.volume)
          IS DISTINCT FROM (incoming.open, incoming.high, incoming.low, incoming.close, incoming.adj_close, incoming.volume)
    RETURNING bar.asset_id
)
SELECT asset_id, count(*) FROM changed GROUP BY asset_id
