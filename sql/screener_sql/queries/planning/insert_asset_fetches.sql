-- The requests of single assets that fit into the calls left: prices, then splits and dividends, then fundamentals, each in the order of
-- the queue; and, after all else, the histories that are fetched again.
INSERT INTO financial_screener.plan_fetches
    (execution_id, group_name, ordinal, kind, purpose, exchange_id, asset_id, date_from, date_to, calls, state)
SELECT %(execution_id)s::text, choice.group_name, work.base + queue.rank, work.kind, work.purpose, delta.exchange_id, queue.asset_id,
       CASE WHEN queue.step <> 4 THEN least(%(history_from)s::date, state.prices_checked_from, state.prices_first_date) END,
       CASE WHEN queue.step <> 4 THEN coalesce(choice.prices_to, %(as_of)s::date, (%(now)s::timestamptz AT TIME ZONE 'UTC')::date) END,
       work.calls, CASE WHEN %(dry_run)s::boolean THEN 'deferred' ELSE 'planned' END
FROM (VALUES
    (1, 'prices', 'due', 1000000, 1, %(prices_fit)s::integer),
    (2, 'splits', 'due', 100000000, 1, %(actions_fit)s::integer),
    (3, 'dividends', 'due', 100000000, 1, %(actions_fit)s::integer),
    (4, 'fundamentals', 'due', 300000000, 10, %(fundamentals_fit)s::integer),
    (5, 'prices', 'refresh', 500000000, 1, NULL)
) AS work (step, kind, purpose, base, calls, fit)
JOIN queue ON queue.step = work.step AND queue.page IS NULL AND (work.fit IS NULL OR queue.rank <= work.fit)
JOIN delta ON delta.asset_id = queue.asset_id
JOIN choice ON choice.exchange_id = delta.exchange_id
JOIN financial_screener.asset_processing_state AS state ON state.asset_id = queue.asset_id
