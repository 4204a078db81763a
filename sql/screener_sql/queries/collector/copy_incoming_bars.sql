-- Bars of a batch, to be compared with those stored.
COPY incoming_bars (asset_id, date, open, high, low, close, adj_close, volume) FROM STDIN (FORMAT binary)
