-- A dry run does nothing of what it planned; what would have been deferred keeps its code, so that the plan still shows it.
UPDATE financial_screener.plan_items
SET state = 'skipped', planned = false, finished_at = now(),
    error_code = CASE WHEN state = 'planned' THEN 'dry_run' ELSE error_code END
WHERE execution_id = %(execution_id)s::text AND state IN ('planned', 'deferred')
