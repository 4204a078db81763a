-- The one slice of an IndicatorRun.
INSERT INTO financial_screener.slices (execution_id, kind, name)
VALUES (%(execution_id)s::text, 'indicators', 'indicators')
ON CONFLICT (execution_id, kind, name) DO NOTHING
