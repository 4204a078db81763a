-- The slice cannot go on, or not with everything; ended: nothing more will be done for it.
UPDATE financial_screener.slices
SET reason = %(reason)s::text, message = %(message)s::text, waiting_reason = NULL, waiting_since = NULL,
    finished_at = CASE WHEN %(ended)s::boolean THEN now() ELSE finished_at END
WHERE execution_id = %(execution_id)s::text AND kind = %(kind)s::text AND name = %(slice)s::text
