-- How indicators are stored and checked: rows are copied, and compared with the judge's before they count.

ALTER TABLE financial_screener.slices
    ADD COLUMN verified_rows integer NOT NULL DEFAULT 0,
    ADD COLUMN deviation double precision;
COMMENT ON COLUMN financial_screener.slices.verified_rows IS
    'Rows of an IndicatorRun that were computed again by the judge before they were stored.';
COMMENT ON COLUMN financial_screener.slices.deviation IS
    'The largest deviation among them, relative to the value or to the column''s scale.';

-- A bar of a session that is set aside, after others that are stored: nothing is computed across it.
CREATE VIEW financial_screener.bar_holes AS
SELECT DISTINCT bar.asset_id, bar.date
FROM financial_screener.quarantined_bars AS bar
JOIN financial_screener.assets AS asset ON asset.id = bar.asset_id
JOIN financial_screener.exchange_sessions AS session ON session.exchange_id = asset.exchange_id AND session.session = bar.date
WHERE bar.released_at IS NULL
  AND NOT EXISTS (
      SELECT FROM financial_screener.stock_prices AS stored WHERE stored.asset_id = bar.asset_id AND stored.date = bar.date
  )
  AND EXISTS (SELECT FROM financial_screener.stock_prices AS earlier WHERE earlier.asset_id = bar.asset_id AND earlier.date < bar.date);
COMMENT ON VIEW financial_screener.bar_holes IS
    'Sessions since an asset''s first bar whose bar broke a rule and was not stored: indicators that reach it are NULL.';

CREATE FUNCTION financial_screener.packed_hole(day date) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
        SELECT date_send(day) || repeat_nan.bytes || int8send(0)
        FROM (SELECT string_agg(float8send('NaN'), ''::bytea) AS bytes FROM generate_series(1, 5)) AS repeat_nan
    $$;
COMMENT ON FUNCTION financial_screener.packed_hole(date) IS 'A bar without values, as the analyzer reads bars.';
GRANT SELECT ON financial_screener.bar_holes TO screener_operator, screener_collector, screener_analyzer;
GRANT EXECUTE ON FUNCTION financial_screener.packed_hole(date) TO screener_analyzer;

-- Rows are copied into a temporary table first.
DO $$
BEGIN
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO screener_analyzer', current_database());
END
$$;
