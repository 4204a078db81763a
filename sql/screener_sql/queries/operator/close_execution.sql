-- Closes a run's execution with its outcome; the counts are those of counts.sql, the calls those of its detail rows: what its dead workers had leased, and
-- nobody can account for, gets one too.
WITH asset AS (
    SELECT bool_or(state = 'failed') AS failed, bool_or(state = 'deferred') AS deferred, bool_or(state = 'succeeded') AS succeeded
    FROM financial_screener.plan_items
    WHERE execution_id = %(execution_id)s::text
    GROUP BY asset_id
), counted AS (
    SELECT count(*) AS discovered,
           count(*) FILTER (WHERE failed) AS failed,
           count(*) FILTER (WHERE NOT failed AND deferred) AS deferred,
           count(*) FILTER (WHERE NOT failed AND NOT deferred AND succeeded) AS succeeded,
           count(*) FILTER (WHERE NOT failed AND NOT deferred AND NOT succeeded) AS skipped
    FROM asset
), told AS (
    SELECT coalesce(sum(detail.api_calls_used), 0) AS calls
    FROM financial_screener.asset_processing_details AS detail
    WHERE detail.execution_id = %(execution_id)s::text
), lost AS (
    INSERT INTO financial_screener.asset_processing_details
        (execution_id, operation, status, api_calls_used, error_message, completed_at, duration_ms)
    SELECT execution.execution_id, 'lost_calls', 'success', budget.calls_used - told.calls,
           'leased by workers that died, and counted as used', now(), 0
    FROM told
    JOIN financial_screener.process_executions AS execution
        ON execution.execution_id = %(execution_id)s::text AND execution.status = 'running'
    JOIN financial_screener.execution_budgets AS budget ON budget.execution_id = execution.execution_id
    WHERE budget.calls_used > told.calls
    RETURNING api_calls_used
)
UPDATE financial_screener.process_executions AS execution
SET status = %(status)s::text,
    completed_at = now(),
    duration_seconds = greatest(0, extract(epoch FROM now() - execution.started_at))::integer,
    assets_discovered = counted.discovered,
    assets_processed = counted.succeeded + counted.failed,
    assets_succeeded = counted.succeeded,
    assets_failed = counted.failed,
    assets_skipped = counted.skipped,
    assets_deferred = counted.deferred,
    api_calls_used = told.calls + coalesce((SELECT lost.api_calls_used FROM lost), 0),
    error_message = CASE WHEN %(status)s::text <> 'success' THEN %(message)s::text END,
    error_details = jsonb_build_object('reason', %(reason)s::text, 'message', %(message)s::text)
FROM counted, told
WHERE execution.execution_id = %(execution_id)s::text AND execution.status = 'running'
