-- One row an item that ended, in the transaction that ends it.
INSERT INTO financial_screener.asset_processing_details
    (execution_id, asset_id, ticker, operation, status, records_inserted, records_updated, error_code, error_message, started_at,
     completed_at, duration_ms)
SELECT %(execution_id)s::text, ended.asset_id, ended.ticker, 'indicators_calc',
       CASE ended.state WHEN 'succeeded' THEN 'success' ELSE ended.state END,
       ended.inserted, ended.updated, ended.error_code, ended.message, %(started_at)s::timestamptz, clock_timestamp(), ended.duration_ms
FROM unnest(%(asset_ids)s::integer[], %(tickers)s::text[], %(states)s::text[], %(inserted)s::integer[], %(updated)s::integer[],
            %(error_codes)s::text[], %(messages)s::text[], %(durations_ms)s::integer[])
    AS ended (asset_id, ticker, state, inserted, updated, error_code, message, duration_ms)
