-- One item for each asset in scope that has bars, or is named: due when a bar, an action or what is set aside changed after
-- its indicators were computed, or the run names other classes of `ta` than its last one. An asset whose history must be
-- fetched again is left alone until then.
INSERT INTO financial_screener.plan_items
    (execution_id, group_name, asset_id, exchange_id, operation, expected_to, state, planned, error_code, message, finished_at)
SELECT %(execution_id)s::text, 'indicators', asset.id, asset.exchange_id, 'indicators_calc', %(as_of)s::date,
       CASE WHEN judged.why_not IS NULL THEN 'planned' ELSE 'skipped' END,
       judged.why_not IS NULL,
       judged.why_not,
       CASE WHEN judged.why_not = 'awaiting_refetch' THEN 'its history must be fetched again first' END,
       CASE WHEN judged.why_not IS NOT NULL THEN now() END
FROM financial_screener.assets AS asset
JOIN financial_screener.exchanges AS exchange ON exchange.id = asset.exchange_id
JOIN financial_screener.asset_processing_state AS state ON state.asset_id = asset.id
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN state.needs_prices_reprocess THEN 'awaiting_refetch'
        WHEN %(mode)s::text = 'changed' AND state.indicators_calculated AND NOT state.needs_indicators_reprocess
             AND state.indicators_calculated_at >= state.prices_changed_at
             AND NOT EXISTS (
                 SELECT FROM financial_screener.corporate_actions AS action
                 WHERE action.asset_id = asset.id
                   AND greatest(action.first_seen_at, action.withdrawn_at) > state.indicators_calculated_at
             )
             AND NOT EXISTS (
                 SELECT FROM financial_screener.quarantined_bars AS bar
                 WHERE bar.asset_id = asset.id AND greatest(bar.quarantined_at, bar.released_at) > state.indicators_calculated_at
             )
             -- What its last run named of `ta` is what this one names.
             AND (
                 %(extra)s::jsonb IS NULL
                 OR EXISTS (
                     SELECT FROM financial_screener.process_executions AS last
                     WHERE last.execution_id = state.indicators_execution_id
                       AND last.parameters -> 'spec' -> 'extra' = %(extra)s::jsonb
                 )
             ) THEN 'up_to_date'
    END AS why_not
) AS judged
WHERE asset.kind = 'listing'
  AND (%(exchanges)s::text[] IS NULL OR exchange.code = ANY (%(exchanges)s::text[]))
  AND CASE WHEN %(symbols)s::text[] IS NULL THEN state.prices_loaded ELSE asset.code = ANY (%(symbols)s::text[]) END
