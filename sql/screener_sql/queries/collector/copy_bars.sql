-- Bars of a batch.
COPY incoming_bars (asset_id, date, open, high, low, close, adj_close, volume) FROM STDIN (FORMAT binary)
