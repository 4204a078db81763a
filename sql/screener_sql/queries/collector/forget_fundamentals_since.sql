-- Fundamentals of assets that a run has stored which began after a moment: whose they are is not known, so they are not loaded.
UPDATE financial_screener.asset_processing_state AS state
SET fundamentals_loaded = false, fundamentals_loaded_at = NULL, next_fundamental_refresh = NULL
FROM unnest(%(asset_ids)s::integer[], %(moments)s::timestamptz[]) AS asked (asset_id, own_at), financial_screener.slices AS preflight
WHERE state.asset_id = asked.asset_id AND state.fundamentals_loaded
  AND preflight.execution_id = state.fundamentals_execution_id AND preflight.kind = 'preflight' AND preflight.started_at > asked.own_at
RETURNING state.asset_id
