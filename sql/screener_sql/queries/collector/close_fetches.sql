-- Closes fetches that the worker still holds; a fetch that is not returned was taken over, and what was fetched for it is dropped.
UPDATE financial_screener.plan_fetches AS request
SET state = ended.state, calls_used = ended.calls, error_code = ended.error_code, message = ended.message, finished_at = now()
FROM jsonb_to_recordset(%(ended)s::jsonb)
    AS ended (id bigint, state text, calls integer, error_code text, message text)
WHERE request.id = ended.id AND request.state = 'claimed' AND request.worker_id = %(worker_id)s::integer
RETURNING request.id
