-- Notes that the slice has begun and returns what is known of it, with how many items were planned and the run's spec; no row: there is no such slice.
UPDATE financial_screener.slices AS slice
SET started_at = coalesce(started_at, now())
WHERE execution_id = %(execution_id)s::text AND kind = 'indicators' AND name = 'indicators'
RETURNING finished_at IS NOT NULL, verified,
          (SELECT count(*) FROM financial_screener.plan_items AS item WHERE item.execution_id = slice.execution_id AND item.planned),
          (
              SELECT execution.parameters -> 'spec'
              FROM financial_screener.process_executions AS execution WHERE execution.execution_id = slice.execution_id
          )
