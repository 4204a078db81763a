-- Records splits and dividends; returns those that are new or say something else than before. A dividend of today's shares changes with
-- each later split, which says nothing new: where both know it, the amount as paid then is compared.
INSERT INTO financial_screener.corporate_actions AS known
    (asset_id, ex_date, kind, split_new, split_old, dividend, unadjusted_dividend, currency, payload, execution_id)
SELECT asset.id, action.ex_date, action.kind, action.split_new, action.split_old, action.dividend, action.unadjusted, action.currency,
       action.payload, %(execution_id)s::text
FROM jsonb_to_recordset(%(actions)s::jsonb)
    AS action (exchange_id smallint, code text, ex_date date, kind text, split_new double precision, split_old double precision,
               dividend double precision, unadjusted double precision, currency text, payload jsonb)
JOIN financial_screener.assets AS asset ON asset.code = action.code AND asset.exchange_id = action.exchange_id
ORDER BY asset.id, action.ex_date, action.kind
ON CONFLICT (asset_id, ex_date, kind) DO UPDATE
SET split_new = excluded.split_new, split_old = excluded.split_old, dividend = excluded.dividend,
    unadjusted_dividend = coalesce(excluded.unadjusted_dividend, known.unadjusted_dividend),
    currency = coalesce(excluded.currency, known.currency), payload = excluded.payload, execution_id = excluded.execution_id,
    first_seen_at = clock_timestamp(), confirmed_at = NULL, checked_sessions = 0, checked_session = NULL, withdrawn_at = NULL
WHERE known.withdrawn_at IS NOT NULL
   OR (known.split_new, known.split_old) IS DISTINCT FROM (excluded.split_new, excluded.split_old)
   OR coalesce(excluded.currency <> known.currency, false)
   OR CASE WHEN known.unadjusted_dividend IS NULL OR excluded.unadjusted_dividend IS NULL THEN known.dividend <> excluded.dividend
           ELSE known.unadjusted_dividend <> excluded.unadjusted_dividend END
RETURNING asset_id, ex_date, kind
