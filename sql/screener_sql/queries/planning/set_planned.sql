-- The plan is whole: the last statement of its transaction.
UPDATE financial_screener.process_executions
SET planned_at = now(),
    schedule = %(schedule)s::jsonb,
    assets_discovered = (SELECT count(DISTINCT asset_id) FROM financial_screener.plan_items WHERE execution_id = %(execution_id)s::text)
WHERE execution_id = %(execution_id)s::text
