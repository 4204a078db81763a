-- Sets bad bars aside; one that a later run got again just the same is confirmed.
INSERT INTO financial_screener.quarantined_bars AS known (asset_id, date, rule, bar, execution_id, finding_id)
SELECT DISTINCT ON (bad.asset_id, bad.date, bad.rule)
       bad.asset_id, bad.date, bad.rule, bad.bar, %(execution_id)s::text, bad.finding_id
FROM jsonb_to_recordset(%(bad)s::jsonb) AS bad (asset_id integer, date date, rule text, bar jsonb, finding_id bigint)
ORDER BY bad.asset_id, bad.date, bad.rule, bad.finding_id
ON CONFLICT (asset_id, date, rule) DO UPDATE
SET bar = excluded.bar, execution_id = excluded.execution_id, finding_id = coalesce(excluded.finding_id, known.finding_id),
    quarantined_at = CASE WHEN known.released_at IS NULL THEN known.quarantined_at ELSE clock_timestamp() END,
    confirmed_at = CASE WHEN known.released_at IS NULL AND known.bar = excluded.bar AND known.execution_id <> excluded.execution_id
                        THEN now() ELSE known.confirmed_at END,
    released_at = NULL
