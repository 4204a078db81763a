-- An asset's row of a day: the last one computed wins. What is not a number is not known.
INSERT INTO financial_screener.technical_indicators
    (asset_id, calculation_date, {columns}, bars_used, extra, calculated_at, execution_id)
SELECT asset_id, calculation_date, {values}, bars_used, extra, %(calculated_at)s::timestamptz, %(execution_id)s::text
FROM pg_temp.staged
ON CONFLICT (asset_id, calculation_date) DO UPDATE
SET {assignments}, bars_used = excluded.bars_used, extra = excluded.extra, calculated_at = excluded.calculated_at, execution_id = excluded.execution_id
