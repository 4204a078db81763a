-- How many items of the run ended in which state.
SELECT state, count(*) FROM financial_screener.plan_items WHERE execution_id = %(execution_id)s::text GROUP BY state
