-- Records that the Job of a slice was made.
UPDATE financial_screener.slices
SET started_at = now()
WHERE execution_id = %(execution_id)s::text AND kind = %(kind)s::text AND name = %(name)s::text AND started_at IS NULL
