-- Where rows wait in the transaction that stores them.
CREATE TEMP TABLE staged ON COMMIT DELETE ROWS AS
SELECT asset_id, calculation_date, {columns}, bars_used, calculated_at, execution_id, extra
FROM financial_screener.technical_indicators
WITH NO DATA
