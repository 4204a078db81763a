-- Opens a run's execution; doing it again changes nothing.
INSERT INTO financial_screener.process_executions (process_name, execution_id, namespace, run_name, parameters, started_at)
VALUES (%(process_name)s::text, %(execution_id)s::text, %(namespace)s::text, %(run_name)s::text, %(parameters)s::jsonb,
        %(started_at)s::timestamptz)
ON CONFLICT (execution_id) DO NOTHING
