-- The rows of a bulk answer that is not believed; of several for a session the newest.
INSERT INTO financial_screener.quarantined_batches AS known (exchange_id, session, rule, asked_at, rows, execution_id)
VALUES (%(exchange_id)s, %(session)s, %(rule)s, %(asked_at)s, %(rows)s::jsonb, %(execution_id)s::text)
ON CONFLICT (exchange_id, session) DO UPDATE
SET rule = excluded.rule, asked_at = excluded.asked_at, rows = excluded.rows, execution_id = excluded.execution_id
WHERE known.asked_at <= excluded.asked_at
