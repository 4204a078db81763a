-- One detail row an item, or a fetch that serves no single asset.
INSERT INTO financial_screener.asset_processing_details
    (execution_id, asset_id, ticker, operation, status, records_inserted, records_updated, api_calls_used, error_code, error_message,
     started_at, completed_at, duration_ms)
SELECT %(execution_id)s::text, detail.asset_id, detail.ticker, detail.operation,
       CASE detail.state WHEN 'succeeded' THEN 'success' ELSE detail.state END,
       coalesce(detail.inserted, 0), coalesce(detail.updated, 0), coalesce(detail.calls, 0), detail.error_code, detail.message,
       detail.started_at, detail.ended_at,
       greatest(0, round(extract(epoch FROM detail.ended_at - detail.started_at) * 1000))::integer
FROM jsonb_to_recordset(%(details)s::jsonb)
    AS detail (asset_id integer, ticker text, operation text, state text, inserted integer, updated integer, calls integer,
               error_code text, message text, started_at timestamptz, ended_at timestamptz)
