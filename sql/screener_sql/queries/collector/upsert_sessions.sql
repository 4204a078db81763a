-- Trading days of an exchange and when they close.
INSERT INTO financial_screener.exchange_sessions AS known (exchange_id, session, closes_at)
SELECT %(exchange_id)s::smallint, day, closes_at
FROM jsonb_to_recordset(%(sessions)s::jsonb) AS trading (day date, closes_at timestamptz)
ON CONFLICT (exchange_id, session) DO UPDATE SET closes_at = excluded.closes_at
WHERE known.closes_at <> excluded.closes_at
