-- Bars of assets that have none yet: nothing to compare them with, so straight into the table, or into one of its partitions.
COPY {table} (asset_id, date, open, high, low, close, adj_close, volume) FROM STDIN (FORMAT binary)
