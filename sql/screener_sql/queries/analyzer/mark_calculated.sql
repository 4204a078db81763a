-- The indicators of these assets are those of the bars that were there at calculated_at. A row of an earlier day than the last stored
-- bar (asOf) leaves the state alone: the indicators of the last bar are as due as before. Where whatever was stored was read (no_end) there
-- is no such row but where a bar came since, at prices_changed_at, so that they are due again.
UPDATE financial_screener.asset_processing_state AS state
SET indicators_calculated = true,
    indicators_calculated_at = %(calculated_at)s::timestamptz,
    indicators_last_date = done.last_date,
    indicators_execution_id = %(execution_id)s::text,
    needs_indicators_reprocess = false,
    indicators_failures = 0,
    last_error_at = CASE WHEN state.prices_failures = 0 AND state.fundamentals_failures = 0 THEN NULL ELSE state.last_error_at END,
    last_error_code = CASE WHEN state.prices_failures = 0 AND state.fundamentals_failures = 0 THEN NULL ELSE state.last_error_code END,
    last_error_message = CASE WHEN state.prices_failures = 0 AND state.fundamentals_failures = 0 THEN NULL ELSE state.last_error_message END
FROM unnest(%(asset_ids)s::integer[], %(last_dates)s::date[]) AS done (asset_id, last_date)
WHERE state.asset_id = done.asset_id
  AND (%(no_end)s::boolean OR NOT EXISTS (
      SELECT FROM financial_screener.stock_prices AS price
      WHERE price.asset_id = done.asset_id AND price.date > done.last_date
  ))
