-- Defers the items of one kind of work that do not fit into its budget: stalest first (never loaded before all), then most wanted.
UPDATE financial_screener.plan_items AS item
SET state = 'deferred', planned = false, error_code = %(error_code)s::text, message = %(message)s::text, finished_at = now()
FROM (
    SELECT candidate.id,
           sum(candidate.planned_calls) OVER (
               ORDER BY CASE WHEN %(fundamentals)s::boolean THEN delta.fundamentals_at END NULLS FIRST,
                        CASE WHEN NOT %(fundamentals)s::boolean THEN delta.checked_to END NULLS FIRST,
                        delta.unwanted, candidate.id
           ) AS calls_up_to_here
    FROM financial_screener.plan_items AS candidate
    JOIN delta ON delta.asset_id = candidate.asset_id
    WHERE candidate.execution_id = %(execution_id)s::text AND candidate.state = 'planned' AND candidate.way = 'asset'
      AND (candidate.operation = 'fundamentals_bulk') = %(fundamentals)s::boolean
) AS ranked
WHERE item.id = ranked.id AND ranked.calls_up_to_here > %(budget)s::integer
