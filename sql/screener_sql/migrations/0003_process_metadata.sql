-- What happened: executions, the state of every asset, one detail row an item.

CREATE FUNCTION financial_screener.update_updated_at_column() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END
$$;

CREATE TABLE financial_screener.process_executions (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    process_name      varchar(100) NOT NULL,
    execution_id      varchar(255) NOT NULL UNIQUE,
    namespace         text,
    run_name          text,
    parameters        jsonb        NOT NULL DEFAULT '{}',
    status            varchar(20)  NOT NULL DEFAULT 'running'
                      CHECK (status IN ('running', 'success', 'partial', 'failed')),
    assets_discovered integer      NOT NULL DEFAULT 0,
    assets_processed  integer      NOT NULL DEFAULT 0,
    assets_succeeded  integer      NOT NULL DEFAULT 0,
    assets_failed     integer      NOT NULL DEFAULT 0,
    assets_skipped    integer      NOT NULL DEFAULT 0,
    assets_deferred   integer      NOT NULL DEFAULT 0,
    api_calls_used    integer      NOT NULL DEFAULT 0,
    started_at        timestamptz  NOT NULL DEFAULT now(),
    planned_at        timestamptz,
    completed_at      timestamptz,
    duration_seconds  integer,
    error_message     text,
    error_details     jsonb,
    created_at        timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX process_executions_started_at_idx ON financial_screener.process_executions (started_at);
COMMENT ON COLUMN financial_screener.process_executions.execution_id IS 'The uid of the CollectionRun or IndicatorRun.';
COMMENT ON COLUMN financial_screener.process_executions.planned_at IS 'When the run''s plan rows were stored, all in one transaction.';
COMMENT ON COLUMN financial_screener.process_executions.assets_processed IS 'Assets that ended succeeded or failed.';

CREATE TYPE financial_screener.refresh_frequency AS ENUM ('daily', 'weekly', 'monthly', 'quarterly', 'never');

CREATE TABLE financial_screener.asset_processing_state (
    asset_id                     integer PRIMARY KEY REFERENCES financial_screener.assets,
    -- What discovery reads of each asset stands first: Postgres takes a row apart from its start, and up to the last column asked for.
    exchange_id                  smallint,
    in_universe                  boolean NOT NULL DEFAULT false,
    prices_loaded                boolean NOT NULL DEFAULT false,
    prices_doubted               boolean NOT NULL DEFAULT false,
    needs_prices_reprocess       boolean NOT NULL DEFAULT false,
    fundamentals_loaded          boolean NOT NULL DEFAULT false,
    needs_fundamentals_reprocess boolean NOT NULL DEFAULT false,
    fundamental_refresh_frequency financial_screener.refresh_frequency NOT NULL DEFAULT 'weekly',
    prices_checked_from          date,
    prices_checked_to            date,
    splits_checked_to            date,
    dividends_checked_to         date,
    next_fundamental_refresh     date,
    wanted_to                    date,
    fundamentals_loaded_at       timestamptz,
    prices_refreshed_at          timestamptz,
    prices_next_attempt_at       timestamptz,
    actions_next_attempt_at      timestamptz,
    fundamentals_next_attempt_at timestamptz,
    asset_type                   text,
    ticker                       text    NOT NULL UNIQUE,
    fundamentals_execution_id    text,
    last_fundamental_update      timestamptz,
    prices_first_date            date,
    prices_last_date             date,
    prices_changed_at            timestamptz,
    prices_last_updated_at       timestamptz,
    prices_execution_id          text,
    indicators_calculated        boolean NOT NULL DEFAULT false,
    indicators_calculated_at     timestamptz,
    indicators_last_date         date,
    indicators_execution_id      text,
    needs_indicators_reprocess   boolean NOT NULL DEFAULT false,
    last_error_at                timestamptz,
    last_error_code              text,
    last_error_message           text,
    prices_failures              integer NOT NULL DEFAULT 0 CHECK (prices_failures >= 0),
    actions_failures             integer NOT NULL DEFAULT 0 CHECK (actions_failures >= 0),
    fundamentals_failures        integer NOT NULL DEFAULT 0 CHECK (fundamentals_failures >= 0),
    indicators_failures          integer NOT NULL DEFAULT 0 CHECK (indicators_failures >= 0),
    consecutive_failures         integer NOT NULL
                                 GENERATED ALWAYS AS (greatest(prices_failures, fundamentals_failures, indicators_failures)) STORED,
    created_at                   timestamptz NOT NULL DEFAULT now(),
    updated_at                   timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER asset_processing_state_updated_at BEFORE UPDATE ON financial_screener.asset_processing_state
    FOR EACH ROW EXECUTE FUNCTION financial_screener.update_updated_at_column();
COMMENT ON COLUMN financial_screener.asset_processing_state.prices_last_date IS 'The last bar stored, never the date asked for.';
COMMENT ON COLUMN financial_screener.asset_processing_state.prices_checked_from IS 'The earliest day that the vendor was asked for and answered.';
COMMENT ON COLUMN financial_screener.asset_processing_state.prices_checked_to IS
    'Up to here the vendor was asked for and answered: the newest published session where its bar came, else the one before, as it may come late.';
COMMENT ON COLUMN financial_screener.asset_processing_state.prices_next_attempt_at IS
    'Not asked for again before: the next GMT day when the newest bar was not there; after a failure that is the asset''s own, a day, then twice as long each time.';
COMMENT ON COLUMN financial_screener.asset_processing_state.prices_failures IS
    'Failures of its prices, one after another, that are the asset''s own; a success of its prices sets it to 0. Likewise the two others.';
COMMENT ON COLUMN financial_screener.asset_processing_state.consecutive_failures IS 'The greatest of the three.';
COMMENT ON COLUMN financial_screener.asset_processing_state.prices_changed_at IS 'When a stored bar was last added or changed.';
COMMENT ON COLUMN financial_screener.asset_processing_state.needs_prices_reprocess IS
    'The whole history must be fetched again (a split or dividend, or somebody asked); until then the indicators are not current.';

CREATE TABLE financial_screener.asset_processing_details (
    id               bigint GENERATED ALWAYS AS IDENTITY,
    execution_id     varchar(255) NOT NULL,
    asset_id         integer,
    ticker           text,
    operation        varchar(50)  NOT NULL,
    status           varchar(20)  NOT NULL CHECK (status IN ('success', 'failed', 'skipped', 'deferred')),
    records_inserted integer      NOT NULL DEFAULT 0,
    records_updated  integer      NOT NULL DEFAULT 0,
    api_calls_used   integer      NOT NULL DEFAULT 0,
    error_code       varchar(50),
    error_message    text,
    started_at       timestamptz  NOT NULL DEFAULT now(),
    completed_at     timestamptz,
    duration_ms      integer,
    created_at       timestamptz  NOT NULL DEFAULT now(),
    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX asset_processing_details_created_at_idx ON financial_screener.asset_processing_details (created_at);
CREATE INDEX asset_processing_details_execution_id_idx ON financial_screener.asset_processing_details (execution_id);
COMMENT ON COLUMN financial_screener.asset_processing_details.ticker IS
    'AAPL.US; NULL for a fetch that serves no single asset (preflight, bulk), whose row carries its calls.';

-- Makes the partitions that rows dated first_day to last_day need: bars and indicators by year, details by month.
-- SECURITY DEFINER, so that the programs need no right to create tables; the lock lets two callers come at once.
CREATE FUNCTION financial_screener.ensure_partitions(first_day date, last_day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent text;
    lower_bound date;
BEGIN
    IF first_day IS NULL OR last_day IS NULL OR last_day < first_day OR last_day > current_date + 3660 THEN
        RAISE EXCEPTION 'ensure_partitions: first_day % and last_day % must be in order and within ten years from now',
            first_day, last_day USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOREACH parent IN ARRAY ARRAY['stock_prices', 'technical_indicators'] LOOP
        FOR year IN greatest(2000, extract(year FROM first_day)::int)..extract(year FROM last_day)::int LOOP
            IF to_regclass(format('financial_screener.%I', parent || '_' || year)) IS NULL THEN
                PERFORM pg_advisory_xact_lock(hashtext('financial_screener.ensure_partitions'));
                EXECUTE format(
                    'CREATE TABLE IF NOT EXISTS financial_screener.%I PARTITION OF financial_screener.%I FOR VALUES FROM (%L) TO (%L)',
                    parent || '_' || year, parent, make_date(year, 1, 1), make_date(year + 1, 1, 1));
                EXECUTE format('GRANT INSERT ON financial_screener.%I TO %I', parent || '_' || year, -- see 0006
                    CASE parent WHEN 'stock_prices' THEN 'screener_collector' ELSE 'screener_analyzer' END);
            END IF;
        END LOOP;
    END LOOP;
    lower_bound := date_trunc('month', greatest(first_day, current_date - 31))::date;
    WHILE lower_bound <= last_day LOOP
        IF to_regclass(format('financial_screener.%I', 'asset_processing_details_' || to_char(lower_bound, 'YYYYMM'))) IS NULL THEN
            PERFORM pg_advisory_xact_lock(hashtext('financial_screener.ensure_partitions'));
            EXECUTE format(
                'CREATE TABLE IF NOT EXISTS financial_screener.%I PARTITION OF financial_screener.asset_processing_details FOR VALUES FROM (%L) TO (%L)',
                'asset_processing_details_' || to_char(lower_bound, 'YYYYMM'),
                lower_bound::text || ' 00:00+00', (lower_bound + interval '1 month')::date::text || ' 00:00+00');
        END IF;
        lower_bound := (lower_bound + interval '1 month')::date;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION financial_screener.ensure_partitions(date, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION financial_screener.ensure_partitions(date, date)
    TO screener_operator, screener_collector, screener_analyzer;
SELECT financial_screener.ensure_partitions('2000-01-01', (current_date + interval '3 months')::date);
