-- Rows as `binary.encode` makes them.
COPY pg_temp.staged (asset_id, calculation_date, {columns}, bars_used, extra) FROM STDIN (FORMAT binary)
