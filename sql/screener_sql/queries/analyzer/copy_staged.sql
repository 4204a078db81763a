-- Rows of days that have one, as `binary.encode` makes them.
COPY pg_temp.staged (asset_id, calculation_date, {columns}, bars_used, calculated_at, execution_id, extra) FROM STDIN (FORMAT binary)
