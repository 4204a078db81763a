-- Judgements: new ones are open, those of an earlier run are confirmed, those that were released are open again.
INSERT INTO financial_screener.data_findings AS known
    (asset_id, exchange_id, date_from, date_to, rule, severity, measured, expected, message, execution_id)
SELECT found.asset_id, found.exchange_id, found.date_from, found.date_to, found.rule, found.severity, found.measured, found.expected,
       found.message, %(execution_id)s::text
FROM jsonb_to_recordset(%(found)s::jsonb)
    AS found (asset_id integer, exchange_id smallint, date_from date, date_to date, rule text, severity text,
              measured double precision, expected double precision, message text)
ORDER BY found.asset_id, found.exchange_id, found.rule, found.date_from
ON CONFLICT (asset_id, exchange_id, rule, date_from) DO UPDATE
SET date_to = excluded.date_to, severity = excluded.severity, measured = excluded.measured, expected = excluded.expected,
    message = excluded.message, execution_id = excluded.execution_id, changed_at = now(),
    state = CASE WHEN known.state = 'released' THEN 'open'
                 WHEN known.state = 'open' AND known.execution_id <> excluded.execution_id THEN 'confirmed'
                 ELSE known.state END
RETURNING id, asset_id, rule, date_from
