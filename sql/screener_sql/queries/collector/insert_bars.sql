-- Adds the bars that are not stored yet; how many of each asset.
WITH added AS (
    INSERT INTO financial_screener.stock_prices (asset_id, date, open, high, low, close, adj_close, volume)
    SELECT asset_id, date, open, high, low, close, adj_close, volume FROM incoming_bars ORDER BY date, asset_id
    ON CONFLICT (asset_id, date) DO NOTHING
    RETURNING asset_id
)
SELECT asset_id, count(*) FROM added GROUP BY asset_id
