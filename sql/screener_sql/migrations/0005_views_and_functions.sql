-- What people ask: the views and functions of the system before, under their names, on this schema.

CREATE VIEW financial_screener.v_assets_needing_processing AS
SELECT ticker, processing_need, prices_last_date, indicators_calculated_at, consecutive_failures, last_error_message
FROM (
    SELECT state.ticker,
           CASE
               WHEN NOT state.prices_loaded OR NOT state.fundamentals_loaded OR state.needs_fundamentals_reprocess
                   THEN 'bulk_load'
               WHEN state.needs_prices_reprocess OR state.prices_checked_to IS NULL
                   OR state.prices_checked_to < expected.session
                   THEN 'price_update'
               WHEN state.needs_indicators_reprocess OR state.indicators_calculated_at IS NULL
                   OR state.indicators_calculated_at < state.prices_changed_at
                   THEN 'indicator_calc'
               ELSE 'up_to_date'
           END AS processing_need,
           state.prices_last_date,
           state.indicators_calculated_at,
           state.consecutive_failures,
           state.last_error_message
    FROM financial_screener.asset_processing_state AS state
    JOIN financial_screener.assets AS asset ON asset.id = state.asset_id AND asset.listed
    JOIN financial_screener.exchanges AS exchange ON exchange.id = asset.exchange_id
    LEFT JOIN LATERAL (
        SELECT max(session) AS session
        FROM financial_screener.exchange_sessions AS candidate
        WHERE candidate.exchange_id = exchange.id AND candidate.closes_at + exchange.publication_delay <= now()
    ) AS expected ON true
    WHERE state.consecutive_failures < 5
) AS need;

CREATE VIEW financial_screener.v_recent_executions AS
SELECT process_name, execution_id, run_name, status, assets_processed, assets_succeeded, assets_failed, assets_skipped,
       assets_deferred, api_calls_used, started_at, completed_at, duration_seconds,
       round(100.0 * assets_succeeded / nullif(assets_processed, 0), 2) AS success_rate_pct
FROM financial_screener.process_executions
WHERE started_at >= now() - interval '7 days'
ORDER BY started_at DESC;

CREATE VIEW financial_screener.v_daily_execution_summary AS
SELECT started_at::date AS execution_date,
       process_name,
       count(*) AS executions,
       count(*) FILTER (WHERE status = 'success') AS succeeded,
       count(*) FILTER (WHERE status = 'partial') AS partial,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       sum(assets_processed) AS assets_processed,
       sum(api_calls_used) AS api_calls_used,
       round(avg(duration_seconds), 1) AS avg_duration_seconds
FROM financial_screener.process_executions
WHERE started_at >= now() - interval '30 days'
GROUP BY 1, 2
ORDER BY 1 DESC, 2;

CREATE VIEW financial_screener.v_ticker_processing_status AS
SELECT state.ticker, asset.listed, state.fundamentals_loaded, state.fundamentals_loaded_at, state.next_fundamental_refresh,
       state.prices_loaded, state.prices_first_date, state.prices_last_date, state.prices_checked_to,
       state.indicators_calculated, state.indicators_calculated_at, state.indicators_last_date,
       state.needs_fundamentals_reprocess, state.needs_prices_reprocess, state.needs_indicators_reprocess,
       state.consecutive_failures, state.last_error_at, state.last_error_code, state.last_error_message
FROM financial_screener.asset_processing_state AS state
JOIN financial_screener.assets AS asset ON asset.id = state.asset_id;

CREATE VIEW financial_screener.v_today_processing_activity AS
SELECT operation,
       status,
       count(*) AS count,
       sum(api_calls_used) AS total_api_calls,
       round(avg(duration_ms)) AS avg_duration_ms,
       min(started_at) AS first_operation,
       max(completed_at) AS last_operation
FROM financial_screener.asset_processing_details
WHERE created_at >= date_trunc('day', now(), 'UTC')
GROUP BY operation, status
ORDER BY operation, status;

CREATE VIEW financial_screener.v_api_usage_today AS
SELECT endpoint, sum(requests) AS requests, sum(calls) AS calls, sum(errors) AS errors
FROM financial_screener.api_usage_log
WHERE day = (now() AT TIME ZONE 'UTC')::date
GROUP BY endpoint
ORDER BY calls DESC;

-- health as before: calls remaining of the day, not a share of the limit.
CREATE VIEW financial_screener.v_quota_status AS
SELECT day, calls_limit, calls_used, calls_remaining, quota_exhausted, vendor_used, vendor_read_at,
       CASE
           WHEN calls_remaining >= 50000 THEN 'healthy'
           WHEN calls_remaining >= 20000 THEN 'warning'
           WHEN calls_remaining >= 5000 THEN 'critical'
           ELSE 'exhausted'
       END AS health
FROM financial_screener.api_daily_quota
WHERE day = (now() AT TIME ZONE 'UTC')::date;

CREATE VIEW financial_screener.v_quota_weekly_trend AS
SELECT day, calls_limit, calls_used, calls_remaining, quota_exhausted,
       round(100.0 * calls_used / nullif(calls_limit, 0), 2) AS used_pct
FROM financial_screener.api_daily_quota
WHERE day > (now() AT TIME ZONE 'UTC')::date - 7
ORDER BY day DESC;

CREATE VIEW financial_screener.v_api_errors_today AS
SELECT operation, error_code, count(*) AS errors, max(completed_at) AS last_error_at,
       (array_agg(ticker ORDER BY completed_at DESC))[1:5] AS latest_tickers
FROM financial_screener.asset_processing_details
WHERE created_at >= date_trunc('day', now(), 'UTC') AND status = 'failed'
GROUP BY operation, error_code
ORDER BY errors DESC;

CREATE FUNCTION financial_screener.get_processing_progress()
RETURNS TABLE (metric varchar(50), value bigint, percentage numeric(5, 2))
LANGUAGE sql STABLE AS $$
    WITH state AS (
        SELECT processing.*,
               (SELECT max(candidate.session)
                FROM financial_screener.exchange_sessions AS candidate
                WHERE candidate.exchange_id = exchange.id
                  AND candidate.closes_at + exchange.publication_delay <= now()) AS expected
        FROM financial_screener.asset_processing_state AS processing
        JOIN financial_screener.assets AS asset ON asset.id = processing.asset_id AND asset.listed
        JOIN financial_screener.exchanges AS exchange ON exchange.id = asset.exchange_id
    ), counted AS (
        SELECT count(*) AS total,
               count(*) FILTER (WHERE fundamentals_loaded) AS fundamentals,
               count(*) FILTER (WHERE prices_checked_to >= expected AND NOT needs_prices_reprocess) AS prices,
               count(*) FILTER (WHERE indicators_calculated AND NOT needs_indicators_reprocess AND NOT needs_prices_reprocess
                                AND indicators_calculated_at >= prices_changed_at) AS indicators,
               count(*) FILTER (WHERE consecutive_failures >= 3) AS failed
        FROM state
    )
    SELECT row.metric::varchar(50), row.value, round(100.0 * row.value / nullif(counted.total, 0), 2)::numeric(5, 2)
    FROM counted, LATERAL (VALUES
        (1, 'total_tickers', counted.total),
        (2, 'fundamentals_complete', counted.fundamentals),
        (3, 'prices_up_to_date', counted.prices),
        (4, 'indicators_current', counted.indicators),
        (5, 'failed_tickers', counted.failed)
    ) AS row (ordinal, metric, value)
    ORDER BY row.ordinal
$$;

-- component: all, fundamentals, prices or indicators. Returns whether there is such a ticker (AAPL.US).
CREATE FUNCTION financial_screener.reset_ticker_for_reprocessing(p_ticker text, p_component text DEFAULT 'all')
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF p_component NOT IN ('all', 'fundamentals', 'prices', 'indicators') THEN
        RAISE EXCEPTION 'component: % is not one of all, fundamentals, prices, indicators', p_component
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE financial_screener.asset_processing_state
    SET needs_fundamentals_reprocess = needs_fundamentals_reprocess OR p_component IN ('all', 'fundamentals'),
        needs_prices_reprocess = needs_prices_reprocess OR p_component IN ('all', 'prices'),
        needs_indicators_reprocess = needs_indicators_reprocess OR p_component IN ('all', 'indicators'),
        prices_next_attempt_at = NULL,
        fundamentals_next_attempt_at = NULL,
        prices_failures = 0,
        fundamentals_failures = 0,
        indicators_failures = 0,
        last_error_at = NULL,
        last_error_code = NULL,
        last_error_message = NULL
    WHERE ticker = p_ticker;
    RETURN FOUND;
END
$$;

-- PROCEED: it fits, the buffer kept; CAUTION: it fits only into the buffer; REDUCE: a part fits; STOP: nothing is left.
CREATE FUNCTION financial_screener.check_quota_available(required_calls integer, buffer_pct numeric DEFAULT 10)
RETURNS TABLE (recommendation text, calls_remaining integer, calls_after integer)
LANGUAGE sql STABLE AS $$
    SELECT CASE
               WHEN today.remaining <= 0 THEN 'STOP'
               WHEN required_calls > today.remaining THEN 'REDUCE'
               WHEN required_calls > today.remaining - today.calls_limit * buffer_pct / 100 THEN 'CAUTION'
               ELSE 'PROCEED'
           END,
           today.remaining,
           today.remaining - required_calls
    FROM (
        SELECT coalesce(quota.calls_remaining, account.daily_limit, 0) AS remaining,
               coalesce(quota.calls_limit, account.daily_limit, 0) AS calls_limit
        FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS day) AS gmt
        LEFT JOIN financial_screener.api_daily_quota AS quota ON quota.day = gmt.day
        LEFT JOIN financial_screener.vendor_account AS account ON true
    ) AS today
$$;

-- One request an asset: 1 call for its history, 10 for its fundamentals; what a run needs at most.
CREATE FUNCTION financial_screener.calculate_required_api_calls()
RETURNS TABLE (processing_need text, assets bigint, required_calls bigint)
LANGUAGE sql STABLE AS $$
    SELECT need.processing_need, count(*),
           sum(CASE need.processing_need WHEN 'bulk_load' THEN 11 WHEN 'price_update' THEN 1 ELSE 0 END)
    FROM financial_screener.v_assets_needing_processing AS need
    GROUP BY need.processing_need
    ORDER BY need.processing_need
$$;

CREATE FUNCTION financial_screener.get_priority_tickers(max_tickers integer DEFAULT 100)
RETURNS TABLE (ticker text, priority smallint, always_process boolean, processing_need text)
LANGUAGE sql STABLE AS $$
    SELECT need.ticker, coalesce(wanted.priority, 3::smallint), coalesce(wanted.always_process, false), need.processing_need
    FROM financial_screener.v_assets_needing_processing AS need
    LEFT JOIN financial_screener.api_ticker_priority AS wanted ON wanted.ticker = need.ticker
    WHERE need.processing_need <> 'up_to_date'
    ORDER BY coalesce(wanted.always_process, false) DESC, coalesce(wanted.priority, 3), need.prices_last_date NULLS FIRST, need.ticker
    LIMIT max_tickers
$$;

-- The one writer of api_usage_log: adds what a program has asked of the vendor, in the transaction that accounts for it.
CREATE FUNCTION financial_screener.log_api_call(
    p_day date, p_execution_id text, p_endpoint text, p_requests integer, p_calls integer, p_errors integer
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO financial_screener.api_usage_log AS log (day, execution_id, endpoint, requests, calls, errors)
    VALUES (p_day, p_execution_id, p_endpoint, p_requests, p_calls, p_errors)
    ON CONFLICT (day, execution_id, endpoint) DO UPDATE
    SET requests = log.requests + excluded.requests, calls = log.calls + excluded.calls, errors = log.errors + excluded.errors
$$;

-- How far an asset's prices are known after an answer of the vendor: up to `expected` when its bar is stored, else only up to the session
-- before, as a bar that is not there yet may come later. Then it is asked for again on the next GMT day, not by every run of this one.
CREATE FUNCTION financial_screener.prices_reach(asset integer, expected date)
RETURNS TABLE (checked_to date, next_attempt_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT reach.checked_to,
           CASE WHEN reach.checked_to < expected THEN date_trunc('day', now(), 'UTC') + interval '1 day' END
    FROM financial_screener.assets AS known
    JOIN financial_screener.asset_processing_state AS state ON state.asset_id = known.id
    CROSS JOIN LATERAL (
        SELECT greatest(
            state.prices_checked_to,
            CASE WHEN EXISTS (SELECT FROM financial_screener.stock_prices AS bar WHERE bar.asset_id = asset AND bar.date = expected)
                 THEN expected
                 ELSE coalesce(
                     (SELECT max(earlier.session) FROM financial_screener.exchange_sessions AS earlier
                      WHERE earlier.exchange_id = known.exchange_id AND earlier.session < expected),
                     expected - 1)
            END
        ) AS checked_to
    ) AS reach
    WHERE known.id = asset
$$;
