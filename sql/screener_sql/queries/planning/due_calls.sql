-- What everything due would cost: prices (bulk days included) and fundamentals.
SELECT coalesce(sum(planned_calls) FILTER (WHERE operation <> 'fundamentals_bulk'), 0)::integer,
       coalesce(sum(planned_calls) FILTER (WHERE operation = 'fundamentals_bulk'), 0)::integer
FROM financial_screener.plan_items
WHERE execution_id = %(execution_id)s::text AND state = 'planned'
