-- The slices of a run, in order.
SELECT kind, name, ordinal, started_at, finished_at, reason, message, notes, waiting_reason, waiting_since, verified, verified_rows, deviation, plan,
       requests.planned AS requests_planned, requests.open AS requests_open
FROM financial_screener.slices AS slice
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state IN ('planned', 'claimed'))::integer AS open,
           count(*) FILTER (WHERE state <> 'deferred' OR worker_id IS NOT NULL OR error_code IS NOT NULL)::integer AS planned
    FROM financial_screener.plan_fetches AS request
    WHERE request.execution_id = slice.execution_id AND request.group_name = slice.name AND slice.kind = 'group'
) AS requests
WHERE execution_id = %(execution_id)s::text
ORDER BY kind, ordinal, name
