-- Fails the fetches that nobody works on any more, so that a worker that comes late is refused.
UPDATE financial_screener.plan_fetches
SET state = 'failed', finished_at = now(), error_code = 'group_not_finished'
WHERE execution_id = %(execution_id)s::text AND state IN ('planned', 'claimed')
