-- Splits and dividends that a history still does not show after so many sessions: a finding for each day of them, as those of one day show as
-- one. A later run that sees the same confirms it; a person's word holds.
INSERT INTO financial_screener.data_findings AS known
    (asset_id, date_from, date_to, rule, severity, measured, expected, message, state, execution_id)
SELECT found.asset_id, found.ex_date, found.ex_date, 'action_not_applied', 'flag', min(found.measured), min(found.expected),
       string_agg(found.kind, ' and ' ORDER BY found.kind) || ' of ' || found.ex_date
       || CASE count(*) WHEN 1 THEN ' is' ELSE ' are' END || ' not in the adjusted closes',
       'open', %(execution_id)s::text
FROM jsonb_to_recordset(%(found)s::jsonb)
    AS found (asset_id integer, ex_date date, kind text, measured double precision, expected double precision)
GROUP BY found.asset_id, found.ex_date
ON CONFLICT (asset_id, exchange_id, rule, date_from) DO UPDATE
SET measured = excluded.measured, expected = excluded.expected, message = excluded.message, execution_id = excluded.execution_id,
    changed_at = now(),
    state = CASE WHEN known.state = 'released' THEN 'open'
                 WHEN known.state = 'open' AND known.execution_id <> excluded.execution_id THEN 'confirmed'
                 ELSE known.state END
