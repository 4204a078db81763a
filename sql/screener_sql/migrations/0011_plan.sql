-- What a plan may hold beyond prices and fundamentals: actions, pages of fundamentals, reference series, corrections and refreshes.

ALTER TABLE financial_screener.plan_fetches
    DROP CONSTRAINT plan_fetches_kind_check,
    DROP CONSTRAINT plan_fetches_check,
    DROP CONSTRAINT plan_fetches_check1,
    ADD CONSTRAINT plan_fetches_kind_check CHECK (kind IN (
        'prices', 'splits', 'dividends', 'fundamentals', 'bulk_prices', 'bulk_splits', 'bulk_dividends', 'bulk_fundamentals')),
    ADD CONSTRAINT plan_fetches_asset_check CHECK ((kind NOT LIKE 'bulk%') = (asset_id IS NOT NULL)),
    ADD CONSTRAINT plan_fetches_session_check CHECK ((kind LIKE 'bulk%' AND kind <> 'bulk_fundamentals') = (session IS NOT NULL)),
    ADD COLUMN purpose text NOT NULL DEFAULT 'due' CHECK (purpose IN ('due', 'reference', 'correction', 'refresh')),
    ADD COLUMN symbols text[],
    ADD COLUMN page_offset integer,
    ADD CONSTRAINT plan_fetches_page_check CHECK ((kind = 'bulk_fundamentals') = (symbols IS NOT NULL OR page_offset IS NOT NULL));
COMMENT ON COLUMN financial_screener.plan_fetches.purpose IS
    'due: its items are; reference: an index or a rate, no item; correction: a session again, for its final volumes, no item;
     refresh: a history again though nothing is known to have changed.';
COMMENT ON COLUMN financial_screener.plan_fetches.symbols IS 'Codes of a page of fundamentals; NULL with page_offset: the next 500 of the exchange.';

-- Its rows come from one statement that reads the assets and exchanges in the same transaction, and no program deletes either: to look each
-- row's up again would take a third of the time of storing a plan. A worker writes its own id as it ends thousands at once. Its fetch stays a
-- foreign key.
ALTER TABLE financial_screener.plan_items
    DROP CONSTRAINT plan_items_asset_id_fkey,
    DROP CONSTRAINT plan_items_exchange_id_fkey,
    DROP CONSTRAINT plan_items_worker_id_fkey,
    DROP CONSTRAINT plan_items_operation_check,
    ADD CONSTRAINT plan_items_operation_check CHECK (operation IN (
        'prices_bulk', 'prices_incremental', 'splits', 'dividends', 'fundamentals_bulk', 'indicators_calc')),
    ADD COLUMN due_on date;
COMMENT ON COLUMN financial_screener.plan_items.due_on IS 'Of a deferred item: the GMT day on which it should come.';

-- Rows of these two are updated by the thousand, all of a page at once, and not in a column that an index has. Where the new rows find room
-- in the page of the old ones, no index is written, and the room is free again for the next update.
ALTER TABLE financial_screener.plan_items SET (fillfactor = 50);
ALTER TABLE financial_screener.asset_processing_state SET (fillfactor = 50);

ALTER TABLE financial_screener.slices ADD COLUMN plan jsonb;
COMMENT ON COLUMN financial_screener.slices.plan IS 'The plan as it was first made, a row for each exchange, operation and way; what became of it is in plan_items.';
ALTER TABLE financial_screener.process_executions ADD COLUMN schedule jsonb;
CREATE INDEX process_executions_running_idx ON financial_screener.process_executions (execution_id) WHERE status = 'running';
COMMENT ON COLUMN financial_screener.process_executions.schedule IS
    'The calls of each day until all that was due at the plan is done: [{"day", "prices", "actions", "fundamentals", "calls"}].';

-- Discovery reads the states alone, so they hold too where an asset is listed and as what. That changes only when a listing comes or
-- goes, so the triggers have next to nothing to do.
COMMENT ON COLUMN financial_screener.asset_processing_state.in_universe IS
    'Whether it is a listing that its exchange has now; neither what is delisted nor a reference series. Kept by triggers, as exchange_id and asset_type are.';
COMMENT ON COLUMN financial_screener.asset_processing_state.wanted_to IS
    'Of an asset that has left its list: up to this session, published before it left, it is still asked for; NULL once it was.';
COMMENT ON COLUMN financial_screener.asset_processing_state.prices_doubted IS
    'Rows of its latest history were set aside that no other run has got the same: with the next session the whole history is asked for again.';

CREATE FUNCTION financial_screener.set_universe_of_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT asset.exchange_id, asset.listed AND asset.kind = 'listing', asset.type
    INTO NEW.exchange_id, NEW.in_universe, NEW.asset_type
    FROM financial_screener.assets AS asset WHERE asset.id = NEW.asset_id;
    RETURN NEW;
END
$$;
CREATE TRIGGER asset_processing_state_universe BEFORE INSERT ON financial_screener.asset_processing_state
    FOR EACH ROW EXECUTE FUNCTION financial_screener.set_universe_of_state();

-- What was published before a listing left and is not stored yet is still wanted; what comes back is due as any other.
CREATE FUNCTION financial_screener.set_universe_of_asset() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE financial_screener.asset_processing_state AS state
    SET exchange_id = NEW.exchange_id, in_universe = NEW.listed AND NEW.kind = 'listing', asset_type = NEW.type,
        wanted_to = CASE
            WHEN NEW.listed THEN NULL
            WHEN OLD.listed THEN (
                SELECT max(published.session)
                FROM financial_screener.exchange_sessions AS published
                JOIN financial_screener.exchanges AS exchange ON exchange.id = published.exchange_id
                WHERE exchange.id = NEW.exchange_id AND published.closes_at + exchange.publication_delay <= now()
                  AND published.session > state.prices_checked_to)
            ELSE state.wanted_to END
    WHERE asset_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER assets_universe AFTER UPDATE OF listed, kind, type, exchange_id ON financial_screener.assets
    FOR EACH ROW WHEN ((OLD.listed, OLD.kind, OLD.type, OLD.exchange_id) IS DISTINCT FROM (NEW.listed, NEW.kind, NEW.type, NEW.exchange_id))
    EXECUTE FUNCTION financial_screener.set_universe_of_asset();

UPDATE financial_screener.asset_processing_state AS state
SET exchange_id = asset.exchange_id, in_universe = asset.listed AND asset.kind = 'listing', asset_type = asset.type
FROM financial_screener.assets AS asset
WHERE asset.id = state.asset_id;

-- The day on which an item should come that a worker defers: by the vendor's clock the next one where the day's calls are spent; else NULL,
-- as the next run asks again whenever it is.
CREATE FUNCTION financial_screener.due_on(error_code text) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN due_on.error_code = 'daily_limit' THEN
        ((now() + coalesce((SELECT clock_skew FROM financial_screener.vendor_account), interval '0')) AT TIME ZONE 'UTC')::date + 1 END
$$;
REVOKE EXECUTE ON FUNCTION financial_screener.due_on(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION financial_screener.due_on(text) TO screener_collector;

-- The histories that were fetched longest ago are fetched again first.
CREATE INDEX asset_processing_state_refreshed_idx ON financial_screener.asset_processing_state (prices_refreshed_at NULLS FIRST)
    WHERE prices_loaded;

-- The currencies of an exchange's listings are found by skipping through it.
CREATE INDEX assets_currency_idx ON financial_screener.assets (exchange_id, currency) WHERE listed AND kind = 'listing';

-- Of each exchange the newest session whose bars are published at a moment, and the newest whose lists of splits and dividends are final;
-- as_of NULL: no bound.
CREATE FUNCTION financial_screener.expected_sessions(at timestamptz, as_of date)
RETURNS TABLE (exchange_id smallint, prices_to date, actions_to date) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT exchange.id,
           (SELECT max(published.session)
            FROM financial_screener.exchange_sessions AS published
            WHERE published.exchange_id = exchange.id AND published.closes_at + exchange.publication_delay <= at
              AND published.session <= coalesce(as_of, 'infinity')),
           (SELECT max(final.session)
            FROM financial_screener.exchange_sessions AS final
            WHERE final.exchange_id = exchange.id AND final.closes_at <= at
              AND (final.session + 1 + exchange.actions_time) AT TIME ZONE 'UTC' <= at
              AND final.session <= coalesce(as_of, 'infinity'))
    FROM financial_screener.exchanges AS exchange
$$;

-- The states of what a run is about: of the universe of `exchanges`, and of what has just left it, what is of a type; and those of `named`.
-- Postgres puts the body into the statement that asks, which then reads only what it wants of it.
CREATE FUNCTION financial_screener.assets_in_scope(exchanges smallint[], named integer[], asset_types text[])
RETURNS SETOF financial_screener.asset_processing_state LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT state.*
    FROM financial_screener.asset_processing_state AS state
    WHERE (state.in_universe OR state.wanted_to IS NOT NULL) AND state.exchange_id = ANY (exchanges) AND state.asset_type = ANY (asset_types)
       OR state.asset_id = ANY (named)
$$;

-- The days between two loads of fundamentals; NULL: never.
CREATE FUNCTION financial_screener.refresh_days(frequency financial_screener.refresh_frequency) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE frequency WHEN 'daily' THEN 1 WHEN 'weekly' THEN 7 WHEN 'monthly' THEN 30 WHEN 'quarterly' THEN 91 END
$$;

-- An asset's next fundamentals, after those of `today`: its own day within the next period (so that an exchange loaded on one day is spread
-- over the period), or sooner: three days after a known report, by when the vendor has it. NULL: never.
CREATE FUNCTION financial_screener.next_fundamental_refresh(
    asset integer, frequency financial_screener.refresh_frequency, today date, earnings jsonb
) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT least(
        today + period.days - ((today - date '2000-01-01' + asset) % period.days),
        (SELECT min(day)::date + 3
         FROM generate_series(today - 2, today + period.days, interval '1 day') AS report (day)
         WHERE jsonb_path_query_array(earnings, 'lax $.History.*.reportDate') ? report.day::date::text)
    )
    FROM (SELECT financial_screener.refresh_days(frequency) AS days) AS period
    WHERE period.days IS NOT NULL
$$;

-- Who wants fundamentals more or less often gets them by the new period at once.
CREATE FUNCTION financial_screener.set_next_fundamental_refresh() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.next_fundamental_refresh = CASE WHEN NEW.fundamentals_loaded THEN financial_screener.next_fundamental_refresh(
        NEW.asset_id, NEW.fundamental_refresh_frequency, (coalesce(NEW.fundamentals_loaded_at, now()) AT TIME ZONE 'UTC')::date, NULL) END;
    RETURN NEW;
END
$$;
CREATE TRIGGER asset_processing_state_frequency BEFORE UPDATE OF fundamental_refresh_frequency ON financial_screener.asset_processing_state
    FOR EACH ROW WHEN (OLD.fundamental_refresh_frequency IS DISTINCT FROM NEW.fundamental_refresh_frequency)
    EXECUTE FUNCTION financial_screener.set_next_fundamental_refresh();

REVOKE EXECUTE ON FUNCTION
    financial_screener.refresh_days(financial_screener.refresh_frequency),
    financial_screener.expected_sessions(timestamptz, date),
    financial_screener.assets_in_scope(smallint[], integer[], text[]),
    financial_screener.next_fundamental_refresh(integer, financial_screener.refresh_frequency, date, jsonb),
    financial_screener.set_universe_of_state(), financial_screener.set_universe_of_asset(),
    financial_screener.set_next_fundamental_refresh()
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    financial_screener.expected_sessions(timestamptz, date),
    financial_screener.assets_in_scope(smallint[], integer[], text[])
    TO screener_operator;
GRANT EXECUTE ON FUNCTION
    financial_screener.refresh_days(financial_screener.refresh_frequency),
    financial_screener.next_fundamental_refresh(integer, financial_screener.refresh_frequency, date, jsonb)
    TO screener_collector;

-- The universe is what its exchanges list now: not delisted assets, nor reference series.
CREATE OR REPLACE VIEW financial_screener.v_assets_needing_processing AS
SELECT ticker, processing_need, prices_last_date, indicators_calculated_at, consecutive_failures, last_error_message
FROM (
    SELECT state.ticker,
           CASE
               WHEN NOT state.prices_loaded OR NOT state.fundamentals_loaded OR state.needs_fundamentals_reprocess
                   THEN 'bulk_load'
               WHEN state.needs_prices_reprocess OR state.prices_checked_to IS NULL
                   OR state.prices_checked_to < expected.prices_to
                   OR state.splits_checked_to IS NULL OR state.splits_checked_to < expected.actions_to
                   OR state.dividends_checked_to IS NULL OR state.dividends_checked_to < expected.actions_to
                   THEN 'price_update'
               WHEN state.needs_indicators_reprocess OR state.indicators_calculated_at IS NULL
                   OR state.indicators_calculated_at < state.prices_changed_at
                   THEN 'indicator_calc'
               ELSE 'up_to_date'
           END AS processing_need,
           state.prices_last_date,
           state.indicators_calculated_at,
           state.consecutive_failures,
           state.last_error_message
    FROM financial_screener.asset_processing_state AS state
    JOIN financial_screener.exchanges AS exchange ON exchange.id = state.exchange_id
    LEFT JOIN LATERAL (
        SELECT (SELECT max(session) FROM financial_screener.exchange_sessions AS published
                WHERE published.exchange_id = exchange.id AND published.closes_at + exchange.publication_delay <= now()) AS prices_to,
               (SELECT max(session) FROM financial_screener.exchange_sessions AS final
                WHERE final.exchange_id = exchange.id AND final.closes_at <= now()
                  AND (final.session + 1 + exchange.actions_time) AT TIME ZONE 'UTC' <= now()) AS actions_to
    ) AS expected ON true
    WHERE state.in_universe AND state.consecutive_failures < 5
) AS need;

CREATE OR REPLACE VIEW financial_screener.v_ticker_processing_status AS
SELECT state.ticker, asset.listed, state.fundamentals_loaded, state.fundamentals_loaded_at, state.next_fundamental_refresh,
       state.prices_loaded, state.prices_first_date, state.prices_last_date, state.prices_checked_to,
       state.indicators_calculated, state.indicators_calculated_at, state.indicators_last_date,
       state.needs_fundamentals_reprocess, state.needs_prices_reprocess, state.needs_indicators_reprocess,
       state.consecutive_failures, state.last_error_at, state.last_error_code, state.last_error_message,
       state.splits_checked_to, state.dividends_checked_to, state.prices_refreshed_at
FROM financial_screener.asset_processing_state AS state
JOIN financial_screener.assets AS asset ON asset.id = state.asset_id AND asset.kind = 'listing';

CREATE OR REPLACE FUNCTION financial_screener.get_processing_progress()
RETURNS TABLE (metric varchar(50), value bigint, percentage numeric(5, 2))
LANGUAGE sql STABLE AS $$
    WITH expected AS (
        SELECT exchange.id AS exchange_id,
               (SELECT max(published.session) FROM financial_screener.exchange_sessions AS published
                WHERE published.exchange_id = exchange.id AND published.closes_at + exchange.publication_delay <= now()) AS session
        FROM financial_screener.exchanges AS exchange
    ), counted AS (
        SELECT count(*) AS total,
               count(*) FILTER (WHERE fundamentals_loaded) AS fundamentals,
               count(*) FILTER (WHERE prices_checked_to >= expected.session AND NOT needs_prices_reprocess) AS prices,
               count(*) FILTER (WHERE indicators_calculated AND NOT needs_indicators_reprocess AND NOT needs_prices_reprocess
                                AND indicators_calculated_at >= prices_changed_at) AS indicators,
               count(*) FILTER (WHERE consecutive_failures >= 3) AS failed
        FROM financial_screener.asset_processing_state AS state
        LEFT JOIN expected ON expected.exchange_id = state.exchange_id
        WHERE state.in_universe
    )
    SELECT row.metric::varchar(50), row.value, round(100.0 * row.value / nullif(counted.total, 0), 2)::numeric(5, 2)
    FROM counted, LATERAL (VALUES
        (1, 'total_tickers', counted.total),
        (2, 'fundamentals_complete', counted.fundamentals),
        (3, 'prices_up_to_date', counted.prices),
        (4, 'indicators_current', counted.indicators),
        (5, 'failed_tickers', counted.failed)
    ) AS row (ordinal, metric, value)
    ORDER BY row.ordinal
$$;

-- One request an asset: 1 call each for its history, its splits and its dividends, 10 for its fundamentals; what a run needs at most.
CREATE OR REPLACE FUNCTION financial_screener.calculate_required_api_calls()
RETURNS TABLE (processing_need text, assets bigint, required_calls bigint)
LANGUAGE sql STABLE AS $$
    SELECT need.processing_need, count(*),
           sum(CASE need.processing_need WHEN 'bulk_load' THEN 13 WHEN 'price_update' THEN 3 ELSE 0 END)
    FROM financial_screener.v_assets_needing_processing AS need
    GROUP BY need.processing_need
    ORDER BY need.processing_need
$$;
