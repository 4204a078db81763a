-- The slice waits for something since now, or (reason NULL) no longer.
UPDATE financial_screener.slices
SET waiting_reason = %(reason)s::text, waiting_since = CASE WHEN %(reason)s::text IS NOT NULL THEN coalesce(waiting_since, now()) END
WHERE execution_id = %(execution_id)s::text AND kind = %(kind)s::text AND name = %(slice)s::text
