-- Bars that a worker of the run has got and judged.
INSERT INTO financial_screener.execution_quality AS known (execution_id, worker_id, bars_checked)
VALUES (%(execution_id)s::text, %(worker_id)s::integer, %(bars)s::bigint)
ON CONFLICT (execution_id, worker_id) DO UPDATE SET bars_checked = known.bars_checked + excluded.bars_checked
