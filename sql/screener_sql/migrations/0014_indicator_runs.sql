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

-- What indicators that add up from an asset's first stored bar had come to at its last one, so that a run that reads its last bars only
-- goes on from there. A state is of the bars up to last_bar as they are stored: whoever changes what there is up to that day ends it, in
-- the same transaction, and the next run adds up all bars again.
CREATE TABLE financial_screener.indicator_states (
    asset_id     integer     PRIMARY KEY REFERENCES financial_screener.assets,
    last_bar     date        NOT NULL,
    obv          double precision,
    adi          double precision,
    vpt          double precision,
    nvi          double precision,
    first_close  double precision,
    read_at      timestamptz NOT NULL,
    execution_id text
) WITH (fillfactor = 50);
COMMENT ON TABLE financial_screener.indicator_states IS
    'Of assets with 200 bars or more: what adds up from the first stored bar. No row: the next run adds up all bars.';
COMMENT ON COLUMN financial_screener.indicator_states.last_bar IS 'The last bar that is in it.';
COMMENT ON COLUMN financial_screener.indicator_states.obv IS 'NULL, as the others: not known, because a bar that was set aside is in reach.';
COMMENT ON COLUMN financial_screener.indicator_states.first_close IS 'The first stored bar''s close, adjusted to prices of last_bar.';
COMMENT ON COLUMN financial_screener.indicator_states.read_at IS 'When its bars were read; another value: another computation.';
COMMENT ON COLUMN financial_screener.indicator_states.execution_id IS
    'NULL: a run is computing it, and a change of the history meanwhile takes the row away.';

-- Bars were stored, changed or taken away. (A stored bar keeps its asset and its day.) Of a first history the oldest bar tells of all: see 0006.
CREATE FUNCTION financial_screener.end_states_of_bars() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM financial_screener.indicator_states AS state
    USING changed
    WHERE state.asset_id = changed.asset_id AND state.last_bar >= changed.date;
    RETURN NULL;
END
$$;
CREATE TRIGGER states_end_with_new AFTER INSERT ON financial_screener.stock_prices
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.end_states_of_bars();
CREATE TRIGGER states_end_with_changed AFTER UPDATE ON financial_screener.stock_prices
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.end_states_of_bars();
CREATE TRIGGER states_end_with_gone AFTER DELETE ON financial_screener.stock_prices
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.end_states_of_bars();

-- An asset's newest bar was taken away: its row goes with it, as screens read the newest row. Rows of earlier days stay as they were
-- computed, until a run with spec.history computes them again. At the end of the transaction: one that replaces a history takes none away.
CREATE FUNCTION financial_screener.end_row_of_bar() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM financial_screener.stock_prices AS bar WHERE bar.asset_id = OLD.asset_id AND bar.date >= OLD.date) THEN
        DELETE FROM financial_screener.technical_indicators WHERE asset_id = OLD.asset_id AND calculation_date = OLD.date;
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER row_ends_with_gone AFTER DELETE ON financial_screener.stock_prices
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION financial_screener.end_row_of_bar();

CREATE FUNCTION financial_screener.end_all_states() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM financial_screener.indicator_states;
    RETURN NULL;
END
$$;
CREATE TRIGGER states_end_with_all AFTER TRUNCATE ON financial_screener.stock_prices
    FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.end_all_states();

-- Bars were set aside, or are no longer: a hole in the history comes or goes.
CREATE FUNCTION financial_screener.end_states_of_holes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        DELETE FROM financial_screener.indicator_states AS state
        USING after
        WHERE state.asset_id = after.asset_id AND state.last_bar >= after.date AND after.released_at IS NULL;
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM financial_screener.indicator_states AS state
        USING before
        WHERE state.asset_id = before.asset_id AND state.last_bar >= before.date AND before.released_at IS NULL;
    ELSE
        DELETE FROM financial_screener.indicator_states AS state
        USING before
        JOIN after ON (after.asset_id, after.date, after.rule) = (before.asset_id, before.date, before.rule)
        WHERE state.asset_id = after.asset_id AND state.last_bar >= after.date
          AND (before.released_at IS NULL) <> (after.released_at IS NULL);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER states_end_with_new AFTER INSERT ON financial_screener.quarantined_bars
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.end_states_of_holes();
CREATE TRIGGER states_end_with_changed AFTER UPDATE ON financial_screener.quarantined_bars
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.end_states_of_holes();
CREATE TRIGGER states_end_with_gone AFTER DELETE ON financial_screener.quarantined_bars
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.end_states_of_holes();

-- A day of a bar that is set aside became a session, or is none.
CREATE FUNCTION financial_screener.end_states_of_sessions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM financial_screener.indicator_states AS state
    USING changed
    JOIN financial_screener.quarantined_bars AS bar ON bar.date = changed.session AND bar.released_at IS NULL
    JOIN financial_screener.assets AS asset ON asset.id = bar.asset_id AND asset.exchange_id = changed.exchange_id
    WHERE state.asset_id = bar.asset_id AND state.last_bar >= bar.date;
    RETURN NULL;
END
$$;
CREATE TRIGGER states_end_with_new AFTER INSERT ON financial_screener.exchange_sessions
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.end_states_of_sessions();
CREATE TRIGGER states_end_with_gone AFTER DELETE ON financial_screener.exchange_sessions
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.end_states_of_sessions();

GRANT SELECT ON financial_screener.indicator_states TO screener_operator, screener_collector, screener_analyzer;
GRANT INSERT, UPDATE ON financial_screener.indicator_states TO screener_analyzer;
REVOKE EXECUTE ON FUNCTION
    financial_screener.end_states_of_bars(), financial_screener.end_all_states(), financial_screener.end_states_of_holes(),
    financial_screener.end_states_of_sessions(), financial_screener.end_row_of_bar()
    FROM PUBLIC;
