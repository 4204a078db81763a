-- Sets bad bars aside; one that is seen again shows its latest form.
INSERT INTO financial_screener.quarantined_bars AS known (asset_id, date, rule, bar, execution_id)
SELECT DISTINCT ON (bad.asset_id, bad.date, bad.rule) bad.asset_id, bad.date, bad.rule, bad.bar, %(execution_id)s::text
FROM jsonb_to_recordset(%(bad)s::jsonb) AS bad (asset_id integer, date date, rule text, bar jsonb)
ORDER BY bad.asset_id, bad.date, bad.rule
ON CONFLICT (asset_id, date, rule) DO UPDATE
SET bar = excluded.bar, execution_id = excluded.execution_id, quarantined_at = now(), released_at = NULL
