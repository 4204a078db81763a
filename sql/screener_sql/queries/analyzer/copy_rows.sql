-- Rows of days that have none yet, as `binary.encode` makes them.
COPY financial_screener.technical_indicators (asset_id, calculation_date, {columns}, bars_used, calculated_at, execution_id, extra)
FROM STDIN (FORMAT binary)
