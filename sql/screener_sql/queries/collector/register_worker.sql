-- A process of a Job appears.
INSERT INTO financial_screener.workers (execution_id, slice, pod)
VALUES (%(execution_id)s::text, %(slice)s::text, %(pod)s::text)
RETURNING id
