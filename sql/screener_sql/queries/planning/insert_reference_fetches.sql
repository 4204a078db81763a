-- The reference series, before all else. series: [{"group_name", "exchange_id", "asset_id", "date_from", "date_to"}]
INSERT INTO financial_screener.plan_fetches
    (execution_id, group_name, ordinal, kind, purpose, exchange_id, asset_id, date_from, date_to, calls, state)
SELECT %(execution_id)s::text, series.group_name, (row_number() OVER (ORDER BY series.asset_id))::integer, 'prices', 'reference',
       series.exchange_id, series.asset_id, series.date_from, series.date_to, 1,
       CASE WHEN %(dry_run)s::boolean THEN 'deferred' ELSE 'planned' END
FROM jsonb_to_recordset(%(series)s::jsonb)
    AS series (group_name text, exchange_id smallint, asset_id integer, date_from date, date_to date)
