-- What the vendor answered for bulk days.
INSERT INTO financial_screener.bulk_days (exchange_id, session, kind, asked_at, rows, of_session, unchanged, believed, reason, execution_id)
SELECT day.exchange_id, day.session, day.kind, day.asked_at, day.rows, day.of_session, day.unchanged, day.believed, day.reason,
       %(execution_id)s::text
FROM jsonb_to_recordset(%(days)s::jsonb)
    AS day (exchange_id smallint, session date, kind text, asked_at timestamptz, rows integer, of_session integer, unchanged integer,
            believed boolean, reason text)
ON CONFLICT (exchange_id, session, kind, asked_at) DO NOTHING
