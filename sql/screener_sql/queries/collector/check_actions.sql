-- What came of looking for splits and dividends in stored bars; a session that is no newer than the last that was looked at does not
-- count again. session NULL: the bars are older than the action, so that nothing counts.
UPDATE financial_screener.corporate_actions AS action
SET confirmed_at = CASE WHEN judged.shown THEN now() END,
    checked_sessions = action.checked_sessions
                       + (NOT judged.shown AND coalesce(judged.session > action.checked_session, judged.session IS NOT NULL))::integer,
    checked_session = greatest(action.checked_session, judged.session)
FROM jsonb_to_recordset(%(judged)s::jsonb)
    AS judged (asset_id integer, ex_date date, kind text, shown boolean, session date)
WHERE action.asset_id = judged.asset_id AND action.ex_date = judged.ex_date AND action.kind = judged.kind
RETURNING action.asset_id, action.ex_date, action.kind, action.checked_sessions, judged.shown
