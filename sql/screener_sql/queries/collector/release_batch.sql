-- A bulk day is believed now.
UPDATE financial_screener.data_findings AS known
SET state = 'released', execution_id = %(execution_id)s::text, changed_at = now()
WHERE known.asset_id IS NULL AND known.exchange_id = %(exchange_id)s::smallint AND known.date_from = %(session)s::date
  AND known.state IN ('open', 'confirmed')
