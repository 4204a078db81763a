-- Ends the slice once, when nothing of it is left; no row: another worker has ended it, or an item is open. Where a row of the sample was
-- wrong all that the run stored is in doubt, so its assets are due again.
WITH ended AS (
    UPDATE financial_screener.slices
    SET finished_at = now(), verified = %(verified)s::boolean, message = %(message)s::text
    WHERE execution_id = %(execution_id)s::text AND kind = 'indicators' AND name = 'indicators' AND finished_at IS NULL
      AND NOT EXISTS (
          SELECT FROM financial_screener.plan_items WHERE execution_id = %(execution_id)s::text AND state = 'planned'
      )
    RETURNING true
), doubted AS (
    UPDATE financial_screener.asset_processing_state AS state
    SET needs_indicators_reprocess = true
    FROM ended, financial_screener.plan_items AS item
    WHERE NOT %(verified)s::boolean AND item.execution_id = %(execution_id)s::text AND item.operation = 'indicators_calc'
      AND item.state = 'succeeded' AND state.asset_id = item.asset_id
)
SELECT true FROM ended
