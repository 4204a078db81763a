-- A worker's own row; it is not alive before it holds its lock, but it has claimed nothing before either.
INSERT INTO financial_screener.workers (execution_id, slice, pod)
VALUES (%(execution_id)s::text, %(slice)s::text, %(pod)s::text)
RETURNING id
