-- Records splits and dividends of an exchange; returns the assets of those that are new or say something else than before.
INSERT INTO financial_screener.corporate_actions AS known
    (asset_id, ex_date, kind, split_new, split_old, dividend, currency, payload, execution_id)
SELECT asset.id, action.ex_date, action.kind, action.split_new, action.split_old, action.dividend, action.currency, action.payload,
       %(execution_id)s::text
FROM jsonb_to_recordset(%(actions)s::jsonb)
    AS action (code text, ex_date date, kind text, split_new double precision, split_old double precision, dividend double precision,
               currency text, payload jsonb)
JOIN financial_screener.assets AS asset ON asset.code = action.code AND asset.exchange_id = %(exchange_id)s::smallint
ORDER BY asset.id
ON CONFLICT (asset_id, ex_date, kind) DO UPDATE
SET split_new = excluded.split_new, split_old = excluded.split_old, dividend = excluded.dividend, currency = excluded.currency,
    payload = excluded.payload, execution_id = excluded.execution_id, first_seen_at = clock_timestamp()
WHERE (known.split_new, known.split_old, known.dividend)
      IS DISTINCT FROM (excluded.split_new, excluded.split_old, excluded.dividend)
RETURNING asset_id
