-- Bars of assets that have none yet: nothing to compare them with, so straight into the table.
COPY financial_screener.stock_prices (asset_id, date, open, high, low, close, adj_close, volume) FROM STDIN (FORMAT binary)
