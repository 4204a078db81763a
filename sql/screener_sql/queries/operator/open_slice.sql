-- The slice of a Job that comes before the plan.
INSERT INTO financial_screener.slices (execution_id, kind, name)
VALUES (%(execution_id)s::text, %(kind)s::text, %(name)s::text)
ON CONFLICT (execution_id, kind, name) DO NOTHING
