-- What is known of assets after their whole histories came in. Whether these show all actions is told by what follows.
-- Where a history reaches further back than before, the actions of the days added were never asked for, so both lists are wanted again.
-- Rows that cannot be bars, and that no other run got the same, may be the answer's fault: it is asked for again with the next session. But
-- not for new rows alone that are like those of before, as of an asset whose bars are always bad.
UPDATE financial_screener.asset_processing_state AS state
SET prices_loaded = true,
    prices_first_date = least(state.prices_first_date, ended.first_date),
    prices_last_date = greatest(state.prices_last_date, ended.last_date),
    splits_checked_to = CASE WHEN ended.checked_from < state.prices_checked_from THEN NULL ELSE state.splits_checked_to END,
    dividends_checked_to = CASE WHEN ended.checked_from < state.prices_checked_from THEN NULL ELSE state.dividends_checked_to END,
    prices_checked_from = least(state.prices_checked_from, ended.checked_from),
    prices_checked_to = greatest(state.prices_checked_to, newest.checked_to),
    prices_changed_at = CASE WHEN ended.inserted + ended.updated > 0 THEN clock_timestamp() ELSE state.prices_changed_at END,
    prices_last_updated_at = now(),
    prices_execution_id = %(execution_id)s::text,
    prices_refreshed_at = greatest(state.prices_refreshed_at, ended.started_at),
    needs_prices_reprocess = false,
    prices_next_attempt_at = newest.next_attempt_at,
    prices_doubted = EXISTS (
        SELECT FROM financial_screener.quarantined_bars AS bar
        JOIN financial_screener.data_rules AS rule ON rule.rule = bar.rule AND rule.scope = 'row'
        WHERE bar.asset_id = ended.asset_id AND bar.execution_id = %(execution_id)s::text
          AND bar.released_at IS NULL AND bar.confirmed_at IS NULL
          AND bar.rule NOT IN ('date_future', 'date_not_asked_for', 'bar_withdrawn')
          AND (NOT state.prices_doubted OR (bar.date > state.prices_checked_to) IS NOT TRUE)),
    wanted_to = CASE WHEN state.wanted_to > newest.checked_to THEN state.wanted_to END,
    prices_failures = 0,
    last_error_at = CASE WHEN state.fundamentals_failures = 0 AND state.indicators_failures = 0 THEN NULL ELSE state.last_error_at END,
    last_error_code = CASE WHEN state.fundamentals_failures = 0 AND state.indicators_failures = 0 THEN NULL ELSE state.last_error_code END,
    last_error_message = CASE WHEN state.fundamentals_failures = 0 AND state.indicators_failures = 0 THEN NULL ELSE state.last_error_message END
FROM jsonb_to_recordset(%(ended)s::jsonb)
    AS ended (asset_id integer, first_date date, last_date date, checked_from date, expected_to date, inserted integer, updated integer,
              started_at timestamptz)
CROSS JOIN LATERAL financial_screener.prices_reach(ended.asset_id, ended.expected_to) AS newest
WHERE state.asset_id = ended.asset_id
