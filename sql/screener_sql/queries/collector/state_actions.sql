-- Assets' own lists of splits or dividends came in; which sessions of them are final follows from when they were asked for. The
-- failures of both lists are counted together, so one list is well only when the other is too.
UPDATE financial_screener.asset_processing_state AS state
SET splits_checked_to = CASE WHEN read.of_splits THEN read.reach ELSE state.splits_checked_to END,
    dividends_checked_to = CASE WHEN read.of_dividends THEN read.reach ELSE state.dividends_checked_to END,
    actions_failures = CASE WHEN read.both THEN 0 ELSE state.actions_failures END,
    actions_next_attempt_at = CASE WHEN NOT read.both THEN state.actions_next_attempt_at END
FROM (
    SELECT before.asset_id, ended.of_splits, ended.of_dividends,
           greatest(ended.reach, CASE WHEN ended.of_splits THEN before.splits_checked_to ELSE before.dividends_checked_to END) AS reach,
           coalesce(ended.of_splits AND ended.of_dividends
                    OR CASE WHEN ended.of_splits THEN before.dividends_checked_to ELSE before.splits_checked_to END >= ended.reach, false) AS both
    FROM (
        SELECT list.asset_id, bool_or(list.kind = 'splits') AS of_splits, bool_or(list.kind = 'dividends') AS of_dividends,
               min(reached.reach) AS reach
        FROM jsonb_to_recordset(%(lists)s::jsonb) AS list (asset_id integer, kind text, date_to date, asked_at timestamptz)
        JOIN financial_screener.assets AS asset ON asset.id = list.asset_id
        JOIN financial_screener.exchanges AS exchange ON exchange.id = asset.exchange_id
        CROSS JOIN LATERAL (
            SELECT least(list.date_to, financial_screener.actions_final_to(list.asked_at, exchange.actions_time)) AS last_day
        ) AS final
        CROSS JOIN LATERAL (
            SELECT coalesce(max(known.session), final.last_day) AS reach
            FROM financial_screener.exchange_sessions AS known
            WHERE known.exchange_id = exchange.id AND known.session <= final.last_day
        ) AS reached
        GROUP BY list.asset_id
    ) AS ended
    JOIN financial_screener.asset_processing_state AS before USING (asset_id)
) AS read
WHERE state.asset_id = read.asset_id
