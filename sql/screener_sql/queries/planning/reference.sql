-- The index and the rates that the run's exchanges need and that do not reach their newest session yet, each at the first group that needs
-- it: an exchange's benchmark, and a rate for each currency of its listings (of those named, where the group names them). The distinct
-- currencies are found by skipping through their index. What another open run is about to fetch, as far as it is wanted here, is left to it:
-- runs are planned one at a time, and a series is stored as its fetch is closed, so it is either open there, or stored, or due.
-- scope: [{"group_ordinal", "exchange_id", "prices_to", "benchmark", "currencies": [of those named] or null}]
WITH RECURSIVE wanted AS (
    SELECT * FROM jsonb_to_recordset(%(scope)s::jsonb)
        AS wanted (group_ordinal integer, exchange_id smallint, prices_to date, benchmark text, currencies text[])
), listed AS (
    SELECT group_ordinal, exchange_id, prices_to, (
        SELECT asset.currency FROM financial_screener.assets AS asset
        WHERE asset.exchange_id = wanted.exchange_id AND asset.listed AND asset.kind = 'listing' ORDER BY asset.currency LIMIT 1
    ) AS currency
    FROM wanted WHERE currencies IS NULL
    UNION ALL
    SELECT group_ordinal, exchange_id, prices_to, (
        SELECT asset.currency FROM financial_screener.assets AS asset
        WHERE asset.exchange_id = listed.exchange_id AND asset.listed AND asset.kind = 'listing' AND asset.currency > listed.currency
        ORDER BY asset.currency LIMIT 1
    )
    FROM listed WHERE currency IS NOT NULL
), series AS (
    SELECT group_ordinal, prices_to, benchmark AS ticker FROM wanted
    UNION ALL
    SELECT group_ordinal, prices_to, coalesce(unit.currency, used.currency) || 'USD.FOREX'
    FROM (
        SELECT group_ordinal, prices_to, currency FROM listed
        UNION ALL
        SELECT group_ordinal, prices_to, unnest(currencies) FROM wanted
    ) AS used
    LEFT JOIN financial_screener.currency_units AS unit ON unit.code = used.currency
    WHERE coalesce(unit.currency, used.currency) <> 'USD'
), due AS (
    SELECT asset.id, asset.exchange_id, min(series.group_ordinal) AS group_ordinal, max(series.prices_to) AS date_to,
           least(%(history_from)s::date, state.prices_checked_from, state.prices_first_date) AS date_from
    FROM series
    CROSS JOIN LATERAL ( -- apart, so that the few are looked up by name in however many assets
        SELECT found.id, found.exchange_id FROM financial_screener.assets AS found
        WHERE found.ticker = series.ticker AND found.kind <> 'listing' OFFSET 0
    ) AS asset
    JOIN financial_screener.asset_processing_state AS state ON state.asset_id = asset.id
    WHERE (state.prices_next_attempt_at > %(now)s::timestamptz) IS NOT TRUE
    GROUP BY asset.id, asset.exchange_id, state.asset_id
    HAVING state.prices_checked_to IS NULL OR state.prices_checked_to < max(series.prices_to)
        OR %(history_from)s::date < state.prices_checked_from - 31
)
SELECT due.id, due.exchange_id, due.group_ordinal, due.date_to, due.date_from
FROM due
WHERE NOT EXISTS (
    SELECT
    FROM financial_screener.process_executions AS run
    CROSS JOIN LATERAL ( -- apart, so that it is looked up by run and asset in however many fetches
        SELECT FROM financial_screener.plan_fetches AS request
        WHERE request.execution_id = run.execution_id AND request.asset_id = due.id AND request.purpose = 'reference'
          AND request.state IN ('planned', 'claimed') AND request.date_from <= due.date_from AND request.date_to >= due.date_to
        OFFSET 0
    ) AS request
    WHERE run.status = 'running' AND run.execution_id <> %(execution_id)s::text
)
ORDER BY due.group_ordinal, due.id
