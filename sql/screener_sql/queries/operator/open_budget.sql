-- What a run may use of the day's calls.
INSERT INTO financial_screener.execution_budgets (execution_id, max_calls, keep_calls, use_extra)
VALUES (%(execution_id)s::text, least(%(max_calls)s::bigint, 2147483647)::integer, least(%(keep_calls)s::bigint, 2147483647)::integer, %(use_extra)s::boolean)
ON CONFLICT (execution_id) DO NOTHING
