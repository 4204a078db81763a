-- How many items of the run have not ended.
SELECT count(*) FROM financial_screener.plan_items WHERE execution_id = %(execution_id)s::text AND state = 'planned'
