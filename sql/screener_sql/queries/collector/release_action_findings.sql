-- A history shows them after all.
UPDATE financial_screener.data_findings AS known
SET state = 'released', changed_at = now()
FROM jsonb_to_recordset(%(shown)s::jsonb) AS shown (asset_id integer, ex_date date)
WHERE known.asset_id = shown.asset_id AND known.date_from = shown.ex_date AND known.rule = 'action_not_applied' AND known.state <> 'released'
