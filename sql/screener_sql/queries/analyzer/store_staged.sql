-- An asset's row of a day: the last one computed wins.
INSERT INTO financial_screener.technical_indicators
    (asset_id, calculation_date, {columns}, bars_used, calculated_at, execution_id, extra)
SELECT asset_id, calculation_date, {columns}, bars_used, calculated_at, execution_id, extra
FROM pg_temp.staged
ON CONFLICT (asset_id, calculation_date) DO UPDATE
SET {assignments}, bars_used = excluded.bars_used, calculated_at = excluded.calculated_at, execution_id = excluded.execution_id
