-- Splits and dividends of assets that runs have recorded which began after a moment: whose they are is not known.
UPDATE financial_screener.corporate_actions AS action
SET withdrawn_at = clock_timestamp(), confirmed_at = NULL
FROM unnest(%(asset_ids)s::integer[], %(moments)s::timestamptz[]) AS asked (asset_id, own_at), financial_screener.slices AS preflight
WHERE action.asset_id = asked.asset_id AND action.withdrawn_at IS NULL
  AND preflight.execution_id = action.execution_id AND preflight.kind = 'preflight' AND preflight.started_at > asked.own_at
RETURNING action.asset_id
