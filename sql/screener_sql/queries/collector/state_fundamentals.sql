-- Fundamentals of assets came in; when they are due again follows from how often they are wanted.
UPDATE financial_screener.asset_processing_state AS state
SET fundamentals_loaded = true,
    fundamentals_loaded_at = now(),
    fundamentals_execution_id = %(execution_id)s::text,
    last_fundamental_update = now(),
    next_fundamental_refresh = ((now() AT TIME ZONE 'UTC')::date + CASE state.fundamental_refresh_frequency
        WHEN 'daily' THEN interval '1 day'
        WHEN 'weekly' THEN interval '7 days'
        WHEN 'monthly' THEN interval '1 month'
        WHEN 'quarterly' THEN interval '3 months'
    END)::date,
    fundamentals_next_attempt_at = NULL,
    needs_fundamentals_reprocess = false,
    fundamentals_failures = 0,
    last_error_at = CASE WHEN state.prices_failures = 0 AND state.indicators_failures = 0 THEN NULL ELSE state.last_error_at END,
    last_error_code = CASE WHEN state.prices_failures = 0 AND state.indicators_failures = 0 THEN NULL ELSE state.last_error_code END,
    last_error_message = CASE WHEN state.prices_failures = 0 AND state.indicators_failures = 0 THEN NULL ELSE state.last_error_message END
WHERE state.asset_id = ANY (%(asset_ids)s::integer[])
