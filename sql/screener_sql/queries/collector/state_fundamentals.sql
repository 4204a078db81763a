-- Fundamentals of assets came in; when they are due again follows from how often they are wanted.
UPDATE financial_screener.asset_processing_state AS state
SET fundamentals_loaded = true,
    fundamentals_loaded_at = now(),
    fundamentals_execution_id = %(execution_id)s::text,
    last_fundamental_update = now(),
    next_fundamental_refresh = financial_screener.next_fundamental_refresh(
        state.asset_id, state.fundamental_refresh_frequency, (now() AT TIME ZONE 'UTC')::date,
        (SELECT asset.eodhd_earnings FROM financial_screener.assets AS asset WHERE asset.id = state.asset_id)),
    fundamentals_next_attempt_at = NULL,
    needs_fundamentals_reprocess = false,
    fundamentals_failures = 0,
    last_error_at = CASE WHEN state.prices_failures = 0 AND state.indicators_failures = 0 THEN NULL ELSE state.last_error_at END,
    last_error_code = CASE WHEN state.prices_failures = 0 AND state.indicators_failures = 0 THEN NULL ELSE state.last_error_code END,
    last_error_message = CASE WHEN state.prices_failures = 0 AND state.indicators_failures = 0 THEN NULL ELSE state.last_error_message END
WHERE state.asset_id = ANY (%(asset_ids)s::integer[])
