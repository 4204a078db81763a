-- What went wrong with assets, maybe with several requests of one; counted: whether it says something about the asset. Then the same is
-- not tried again before the next GMT day, and twice as long after each further failure of it, up to 32 days. what: prices, actions or
-- fundamentals. What has left its list is not asked for again.
UPDATE financial_screener.asset_processing_state AS state
SET last_error_at = now(), last_error_code = latest.error_code, last_error_message = latest.message,
    prices_failures = state.prices_failures + latest.prices::integer,
    wanted_to = CASE WHEN NOT latest.prices THEN state.wanted_to END,
    actions_failures = state.actions_failures + latest.actions::integer,
    fundamentals_failures = state.fundamentals_failures + latest.fundamentals::integer,
    prices_next_attempt_at = CASE WHEN latest.prices THEN today + interval '1 day' * least(power(2, state.prices_failures), 32)
                                  ELSE state.prices_next_attempt_at END,
    actions_next_attempt_at = CASE WHEN latest.actions THEN today + interval '1 day' * least(power(2, state.actions_failures), 32)
                                   ELSE state.actions_next_attempt_at END,
    fundamentals_next_attempt_at = CASE WHEN latest.fundamentals
                                        THEN today + interval '1 day' * least(power(2, state.fundamentals_failures), 32)
                                        ELSE state.fundamentals_next_attempt_at END
FROM (
    SELECT asset_id,
           (array_agg(error_code ORDER BY place DESC))[1] AS error_code,
           (array_agg(message ORDER BY place DESC))[1] AS message,
           bool_or(counted AND what = 'prices') AS prices,
           bool_or(counted AND what = 'actions') AS actions,
           bool_or(counted AND what = 'fundamentals') AS fundamentals,
           date_trunc('day', now(), 'UTC') AS today
    FROM ROWS FROM (jsonb_to_recordset(%(failed)s::jsonb)
        AS (asset_id integer, what text, error_code text, message text, counted boolean)) WITH ORDINALITY
        AS failed (asset_id, what, error_code, message, counted, place)
    GROUP BY asset_id
) AS latest
WHERE state.asset_id = latest.asset_id
