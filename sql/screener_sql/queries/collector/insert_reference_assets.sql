-- The reference series that a run's exchanges need, with their states: each benchmark, and a rate to USD of each currency of a listing.
WITH named AS (
    SELECT id, benchmark, currency FROM financial_screener.exchanges
    WHERE code = ANY (%(exchanges)s::text[]) AND kind = 'listings'
), indices AS (
    SELECT DISTINCT ON (benchmark) 'INDX' AS exchange, split_part(benchmark, '.', 1) AS code, 'index' AS kind, currency
    FROM named
    WHERE benchmark LIKE '_%%.INDX'
    ORDER BY benchmark, id
), rates AS (
    SELECT DISTINCT 'FOREX' AS exchange, coalesce(unit.currency, used.currency) || 'USD' AS code, 'fx' AS kind, 'USD' AS currency
    FROM (
        SELECT currency FROM named
        UNION
        SELECT asset.currency FROM financial_screener.assets AS asset
        JOIN named ON named.id = asset.exchange_id
        WHERE asset.listed AND asset.kind = 'listing'
    ) AS used
    LEFT JOIN financial_screener.currency_units AS unit ON unit.code = used.currency
    WHERE coalesce(unit.currency, used.currency) ~ '^[A-Z]{3}$' AND coalesce(unit.currency, used.currency) <> 'USD'
), inserted AS (
    INSERT INTO financial_screener.assets (code, exchange_id, ticker, currency, kind)
    SELECT series.code, exchange.id, series.code || '.' || exchange.code, series.currency, series.kind
    FROM (SELECT * FROM indices UNION ALL SELECT * FROM rates) AS series
    JOIN financial_screener.exchanges AS exchange ON exchange.code = series.exchange
    ORDER BY series.code
    ON CONFLICT (code, exchange_id) DO NOTHING
    RETURNING id, ticker
)
INSERT INTO financial_screener.asset_processing_state (asset_id, ticker)
SELECT id, ticker FROM inserted
ON CONFLICT (asset_id) DO NOTHING
