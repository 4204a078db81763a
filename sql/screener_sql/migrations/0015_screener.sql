-- What screens ask: one row an asset, kept by the transactions that change what it is made of.

-- Whoever reads screens: GRANT screener_reader TO the login of a page.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'screener_reader') THEN
        BEGIN
            CREATE ROLE screener_reader NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- made by a migration of another database meanwhile
        END;
    END IF;
END
$$;
GRANT USAGE ON SCHEMA financial_screener TO screener_reader;

CREATE TABLE financial_screener.usd_rates (
    currency text             NOT NULL,
    day      date             NOT NULL,
    usd      double precision NOT NULL,
    PRIMARY KEY (currency, day)
);
COMMENT ON TABLE financial_screener.usd_rates IS
    'usd_per of every day that has one, written in the transaction that changes the bars of XXXUSD.FOREX or how far they were asked for.';

-- The days for which the bars of a rate speak, as usd_per reads them: each for its own day and four more, until the next, or until a session
-- that was asked for in vain. Returns the assets in whose rows a sum was converted by a rate that has changed.
CREATE FUNCTION financial_screener.refresh_usd_rates(rate integer) RETURNS SETOF integer
-- The days to come of a rate are few and thought to be many: compiling for them would take ten seconds.
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
    RETURN QUERY
    WITH series AS (
        SELECT left(asset.ticker, -length('USD.FOREX')) AS currency, state.prices_checked_to AS checked_to
        FROM financial_screener.assets AS asset
        LEFT JOIN financial_screener.asset_processing_state AS state ON state.asset_id = asset.id
        WHERE asset.id = rate AND asset.kind = 'fx' AND asset.ticker LIKE '___USD.FOREX'
    ), known AS (
        SELECT series.currency, bar.date + later.days AS day, bar.close AS usd
        FROM series
        CROSS JOIN (
            SELECT price.date, price.close, lead(price.date) OVER (ORDER BY price.date) AS next
            FROM financial_screener.stock_prices AS price
            WHERE price.asset_id = rate AND price.close > 0
        ) AS bar
        CROSS JOIN LATERAL generate_series(0, least(coalesce(bar.next - bar.date, 5), 5) - 1) AS later (days)
        WHERE later.days = 0 OR NOT EXISTS (
            SELECT FROM generate_series(1, later.days) AS between_them (days)
            WHERE bar.date + between_them.days <= series.checked_to
              AND financial_screener.is_rate_session(bar.date + between_them.days)
        )
    ), gone AS (
        DELETE FROM financial_screener.usd_rates AS stored
        USING series
        WHERE stored.currency = series.currency AND NOT EXISTS (SELECT FROM known WHERE known.day = stored.day)
        RETURNING stored.currency, stored.day
    ), come AS (
        INSERT INTO financial_screener.usd_rates AS stored (currency, day, usd)
        SELECT known.currency, known.day, known.usd FROM known
        ON CONFLICT (currency, day) DO UPDATE SET usd = excluded.usd WHERE stored.usd <> excluded.usd
        RETURNING stored.currency, stored.day
    ), changed AS MATERIALIZED (
        SELECT gone.currency, gone.day FROM gone UNION ALL SELECT come.currency, come.day FROM come
    )
    SELECT facts.asset_id FROM financial_screener.screener_facts AS facts
    JOIN changed ON changed.currency = facts.market_cap_currency AND changed.day = facts.market_cap_day
    UNION
    SELECT row.asset_id FROM financial_screener.screener_rows AS row
    JOIN changed ON changed.currency = row.major_currency AND changed.day = row.calculation_date;
END
$$;

CREATE FUNCTION financial_screener.usd_rate(currency text, on_day date) RETURNS double precision
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN usd_rate.currency = 'USD' THEN 1.0::double precision
           ELSE (SELECT rate.usd FROM financial_screener.usd_rates AS rate WHERE rate.currency = usd_rate.currency AND rate.day = on_day) END
$$;
COMMENT ON FUNCTION financial_screener.usd_rate(text, date) IS 'What usd_per says, from usd_rates.';

-- The rows of screens are in three tables, so that a scan for what is commonly asked for passes over few pages: the columns that screens
-- filter by and show are in screener_rows; the rest of what is known of a listing, which changes seldom, in screener_facts; the other
-- indicators, which change every day, in screener_more. A query that names no column of one of the last two does not read it at all.
-- A scan takes each row apart up to the last column of its conditions: the more a column is filtered by, the earlier it comes.
-- Columns of indicators have no index and half of each page is free, so that a day's new values go into the same pages and no index is
-- written.
CREATE TABLE financial_screener.screener_rows (
    asset_id                      integer PRIMARY KEY REFERENCES financial_screener.assets ON DELETE CASCADE,
    calculation_date              date,
    exchange_id                   smallint NOT NULL,
    listed                        boolean NOT NULL,
    is_flagged                    boolean NOT NULL,
    has_quarantine                boolean NOT NULL,
    awaits_history                boolean NOT NULL,
    current_price                 double precision,
    sma_50                        double precision,
    sma_200                       double precision,
    market_cap_usd                double precision,
    traded_value_30_usd           double precision,
    rsi_14                        double precision,
    week_52_high_distance         double precision,
    silent_bars_30                double precision,
    relative_volume               double precision,
    return_1m                     double precision,
    return_12m                    double precision,
    volatility                    double precision,
    slope                         double precision,
    macd_histogram                double precision,
    macd_rise_bars                double precision,
    golden_cross_bars             double precision,
    unchanged_bars                double precision,
    pe_ratio                      double precision,
    price_book_mrq                double precision,
    return_on_equity_ttm          double precision,
    return_on_assets_ttm          double precision,
    operating_margin_ttm          double precision,
    quarterly_revenue_growth_yoy  double precision,
    quarterly_earnings_growth_yoy double precision,
    dividend_yield                double precision,
    payout_ratio                  double precision,
    return_1d                     double precision,
    return_5d                     double precision,
    return_3m                     double precision,
    return_6m                     double precision,
    return_ytd                    double precision,
    relative_strength_3m          double precision,
    relative_strength_6m          double precision,
    relative_strength_12m         double precision,
    week_52_low_distance          double precision,
    drawdown                      double precision,
    beta                          double precision,
    adx                           double precision,
    bb_percent                    double precision,
    mfi_14                        double precision,
    death_cross_bars              double precision,
    rsi_rise_bars                 double precision,
    avg_volume_30                 double precision,
    traded_value_30               double precision,
    week_52_high                  double precision,
    ex_dividend_date              date,
    ticker                        text NOT NULL,
    exchange                      text NOT NULL,
    name                          text,
    currency                      text,
    major_currency                text,
    sector                        text
) WITH (fillfactor = 50);
CREATE INDEX screener_rows_ticker_idx ON financial_screener.screener_rows (ticker);
CREATE INDEX screener_rows_exchange_idx ON financial_screener.screener_rows (exchange);
CREATE INDEX screener_rows_sector_idx ON financial_screener.screener_rows (sector);
-- The order of most pages, the largest first and those without a value last: their LIMIT ends the scan.
CREATE INDEX screener_rows_market_cap_usd_idx ON financial_screener.screener_rows (market_cap_usd DESC NULLS LAST);
CREATE INDEX screener_rows_pe_ratio_idx ON financial_screener.screener_rows (pe_ratio);
CREATE INDEX screener_rows_price_book_idx ON financial_screener.screener_rows (price_book_mrq);
CREATE INDEX screener_rows_dividend_yield_idx ON financial_screener.screener_rows (dividend_yield);
CREATE INDEX screener_rows_return_on_equity_idx ON financial_screener.screener_rows (return_on_equity_ttm);
COMMENT ON TABLE financial_screener.screener_rows IS
    'What v_screener reads, with screener_facts and screener_more: of each listing its newest row of technical_indicators, its fundamentals, '
    'its open findings. Written by refresh_screener_rows alone.';

CREATE TABLE financial_screener.screener_facts (
    asset_id                  integer PRIMARY KEY REFERENCES financial_screener.screener_rows ON DELETE CASCADE,
    market_cap_day            date,
    forward_pe                double precision,
    peg_ratio                 double precision,
    price_sales_ttm           double precision,
    enterprise_value_ebitda   double precision,
    forward_dividend_yield    double precision,
    profit_margin             double precision,
    trailing_pe               double precision,
    enterprise_value_revenue  double precision,
    book_value                double precision,
    earnings_share            double precision,
    eps_estimate_current_year double precision,
    eps_estimate_next_year    double precision,
    dividend_share            double precision,
    forward_dividend_rate     double precision,
    short_ratio               double precision,
    short_percent_float       double precision,
    analyst_rating            double precision,
    analyst_target_price      double precision,
    dividend_date             date,
    most_recent_quarter       date,
    fundamentals_date         date,
    quality_flags             text[] NOT NULL,
    type                      text,
    country                   text,
    industry                  text,
    code                      text NOT NULL,
    isin                      text,
    market_cap_currency       text,
    statements_currency       text,
    market_cap                numeric,
    shares_outstanding        numeric,
    shares_float              numeric,
    enterprise_value          numeric,
    revenue_ttm               numeric,
    gross_profit_ttm          numeric,
    ebitda                    numeric
) WITH (fillfactor = 90);
CREATE INDEX screener_facts_industry_idx ON financial_screener.screener_facts (industry);
COMMENT ON TABLE financial_screener.screener_facts IS
    'Columns of v_screener that change seldom, of the listing and its fundamentals, and that screens ask for less often than for those of screener_rows.';

-- Its columns are added by follow_indicator_columns.
CREATE TABLE financial_screener.screener_more (
    asset_id integer PRIMARY KEY REFERENCES financial_screener.screener_rows ON DELETE CASCADE
) WITH (fillfactor = 50);
COMMENT ON TABLE financial_screener.screener_more IS 'The indicators of v_screener that screens seldom ask for.';

-- What this transaction has changed and screener_rows follows when it ends. About 'indicators': rows of these assets, each of which then had one of
-- `since` or later; without `since` rows may be gone. About 'assets': anything else of them. About 'rates': bars of these rates. Without ids: of all.
-- Nothing in it outlives its transaction.
CREATE UNLOGGED TABLE financial_screener.screener_due (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    about     text NOT NULL CHECK (about IN ('indicators', 'assets', 'rates')),
    asset_ids integer[],
    since     date
);

CREATE FUNCTION financial_screener.note_indicators_for_screener() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO financial_screener.screener_due (about, asset_ids, since)
        SELECT 'indicators', array_agg(DISTINCT asset_id), min(calculation_date) FROM after HAVING count(*) > 0;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO financial_screener.screener_due (about, asset_ids, since)
        SELECT 'indicators', array_agg(DISTINCT asset_id), NULL FROM before HAVING count(*) > 0;
    ELSIF TG_OP = 'UPDATE' THEN
        -- A row may have gone from one asset to another.
        INSERT INTO financial_screener.screener_due (about, asset_ids, since)
        SELECT 'indicators', array_agg(asset_id), CASE WHEN count(*) = count(day) THEN min(day) END
        FROM (SELECT asset_id, min(of_row.day) AS day
              FROM (SELECT asset_id, calculation_date AS day FROM after UNION ALL SELECT asset_id, NULL FROM before) AS of_row
              GROUP BY asset_id) AS of_asset
        HAVING count(*) > 0;
    ELSE
        INSERT INTO financial_screener.screener_due (about, asset_ids, since) VALUES ('indicators', NULL, NULL);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION financial_screener.note_findings_for_screener() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed integer[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        changed := ARRAY(SELECT DISTINCT asset_id FROM after WHERE asset_id IS NOT NULL);
    ELSIF TG_OP = 'DELETE' THEN
        changed := ARRAY(SELECT DISTINCT asset_id FROM before WHERE asset_id IS NOT NULL);
    ELSIF TG_OP = 'UPDATE' THEN
        changed := ARRAY(SELECT asset_id FROM before WHERE asset_id IS NOT NULL
                         UNION SELECT asset_id FROM after WHERE asset_id IS NOT NULL);
    END IF;
    IF TG_OP = 'TRUNCATE' OR cardinality(changed) > 0 THEN
        INSERT INTO financial_screener.screener_due (about, asset_ids, since) VALUES ('assets', changed, NULL);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION financial_screener.note_assets_for_screener() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO financial_screener.screener_due (about, asset_ids) SELECT 'assets', array_agg(id) FROM after HAVING count(*) > 0;
    RETURN NULL;
END
$$;

-- Argument: what it is about.
CREATE FUNCTION financial_screener.note_state_for_screener() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO financial_screener.screener_due (about, asset_ids, since) VALUES (TG_ARGV[0], ARRAY[NEW.asset_id], NULL);
    RETURN NULL;
END
$$;

-- The first of a transaction's notes settles all of them. A rate is in the sums of rows that others may be writing: who changes rates waits for
-- all who write rows, and they for him, so that neither misses what the other has written. He asks before he has a lock on any row.
CREATE FUNCTION financial_screener.settle_screener() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due   record;
    rates integer[];
BEGIN
    IF NOT EXISTS (SELECT FROM financial_screener.screener_due WHERE id = NEW.id) THEN
        RETURN NULL;
    END IF;
    WITH settled AS (DELETE FROM financial_screener.screener_due RETURNING about, asset_ids, since), ids AS (
        SELECT settled.about, unnest(settled.asset_ids) AS id FROM settled
        UNION
        SELECT settled.about, asset.id FROM settled JOIN financial_screener.assets AS asset ON settled.asset_ids IS NULL
    )
    SELECT coalesce(array_agg(ids.id) FILTER (WHERE ids.about = 'assets'), '{}') AS of_assets,
           coalesce(array_agg(ids.id) FILTER (WHERE ids.about = 'indicators'), '{}') AS of_indicators,
           coalesce(array_agg(ids.id) FILTER (WHERE ids.about = 'rates'), '{}') AS of_rates,
           (SELECT min(coalesce(settled.since, '-infinity')) FROM settled WHERE settled.about = 'indicators') AS since
    INTO due FROM ids;
    IF cardinality(due.of_rates) > 0 THEN
        PERFORM pg_advisory_xact_lock(hashtext('financial_screener.usd_rates'));
        due.of_assets := due.of_assets || ARRAY(SELECT financial_screener.refresh_usd_rates(rate.id) FROM unnest(due.of_rates) AS rate (id));
    ELSIF cardinality(due.of_assets) > 0 OR cardinality(due.of_indicators) > 0 THEN
        PERFORM pg_advisory_xact_lock_shared(hashtext('financial_screener.usd_rates'));
    END IF;
    PERFORM financial_screener.refresh_screener_rows(due.of_assets, due.of_indicators, due.since);
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER screener_settles AFTER INSERT ON financial_screener.screener_due
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION financial_screener.settle_screener();

-- A row at a time, for their conditions are seldom true: what a statement writes of states is not collected. A writer of bars sets
-- prices_changed_at.
CREATE TRIGGER screener_follows_rates_that_come AFTER INSERT ON financial_screener.asset_processing_state FOR EACH ROW
    WHEN (NEW.ticker LIKE '%USD.FOREX') EXECUTE FUNCTION financial_screener.note_state_for_screener('rates');
CREATE TRIGGER screener_follows_rates AFTER UPDATE ON financial_screener.asset_processing_state FOR EACH ROW
    WHEN ((NEW.prices_changed_at IS DISTINCT FROM OLD.prices_changed_at OR NEW.prices_checked_to IS DISTINCT FROM OLD.prices_checked_to)
          AND NEW.ticker LIKE '%USD.FOREX')
    EXECUTE FUNCTION financial_screener.note_state_for_screener('rates');
CREATE TRIGGER screener_follows_histories_that_wait AFTER INSERT ON financial_screener.asset_processing_state FOR EACH ROW
    WHEN (NEW.needs_prices_reprocess) EXECUTE FUNCTION financial_screener.note_state_for_screener('assets');
CREATE TRIGGER screener_follows_histories AFTER UPDATE ON financial_screener.asset_processing_state FOR EACH ROW
    WHEN (NEW.needs_prices_reprocess <> OLD.needs_prices_reprocess)
    EXECUTE FUNCTION financial_screener.note_state_for_screener('assets');

CREATE TRIGGER screener_follows_inserts AFTER INSERT ON financial_screener.technical_indicators
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_indicators_for_screener();
CREATE TRIGGER screener_follows_updates AFTER UPDATE ON financial_screener.technical_indicators
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_indicators_for_screener();
CREATE TRIGGER screener_follows_deletes AFTER DELETE ON financial_screener.technical_indicators
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_indicators_for_screener();
CREATE TRIGGER screener_follows_truncates AFTER TRUNCATE ON financial_screener.technical_indicators
    FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_indicators_for_screener();

CREATE TRIGGER screener_follows_inserts AFTER INSERT ON financial_screener.data_findings
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_findings_for_screener();
CREATE TRIGGER screener_follows_updates AFTER UPDATE ON financial_screener.data_findings
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_findings_for_screener();
CREATE TRIGGER screener_follows_deletes AFTER DELETE ON financial_screener.data_findings
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_findings_for_screener();
CREATE TRIGGER screener_follows_truncates AFTER TRUNCATE ON financial_screener.data_findings
    FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_findings_for_screener();

CREATE TRIGGER screener_follows_inserts AFTER INSERT ON financial_screener.assets
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_assets_for_screener();
CREATE TRIGGER screener_follows_updates AFTER UPDATE ON financial_screener.assets
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_assets_for_screener();

-- The columns of the three tables that are not of indicators, as they have to be.
CREATE VIEW financial_screener.screener_assets AS
SELECT known.*, financial_screener.usd_rate(known.market_cap_currency, known.market_cap_day) * known.market_cap::double precision AS market_cap_usd
FROM (
    SELECT asset.id AS asset_id, asset.exchange_id, asset.listed, coalesce(state.needs_prices_reprocess, false) AS awaits_history,
           coalesce((state.last_fundamental_update AT TIME ZONE 'UTC')::date, asset.fundamentals_date) AS market_cap_day,
           asset.market_cap, asset.shares_outstanding, asset.shares_float, asset.enterprise_value,
           asset.pe_ratio, asset.trailing_pe, asset.forward_pe, asset.peg_ratio, asset.price_sales_ttm, asset.price_book_mrq,
           asset.enterprise_value_revenue, asset.enterprise_value_ebitda, asset.book_value, asset.earnings_share,
           asset.eps_estimate_current_year, asset.eps_estimate_next_year,
           asset.dividend_yield, asset.dividend_share, asset.forward_dividend_yield, asset.forward_dividend_rate, asset.payout_ratio,
           asset.ex_dividend_date, asset.dividend_date,
           asset.profit_margin, asset.operating_margin_ttm, asset.return_on_assets_ttm, asset.return_on_equity_ttm,
           asset.revenue_ttm, asset.gross_profit_ttm, asset.ebitda, asset.quarterly_revenue_growth_yoy,
           asset.quarterly_earnings_growth_yoy, asset.short_ratio, asset.short_percent_float, asset.analyst_rating,
           asset.analyst_target_price, asset.most_recent_quarter, asset.fundamentals_date,
           coalesce(findings.has_quarantine, false) AS has_quarantine, findings.rules IS NOT NULL AS is_flagged,
           coalesce(findings.rules, '{}') AS quality_flags,
           asset.ticker, asset.code, exchange.code AS exchange, asset.name, asset.type, asset.isin, asset.country, asset.currency,
           major.currency AS major_currency, coalesce(asset.market_cap_currency, major.currency) AS market_cap_currency,
           asset.statements_currency, asset.sector, asset.industry
    FROM financial_screener.assets AS asset
    JOIN financial_screener.exchanges AS exchange ON exchange.id = asset.exchange_id
    LEFT JOIN financial_screener.asset_processing_state AS state ON state.asset_id = asset.id
    LEFT JOIN financial_screener.currency_units AS unit ON unit.code = asset.currency
    CROSS JOIN LATERAL (SELECT coalesce(unit.currency, substring(asset.currency FROM '^[A-Z]{3}$')) AS currency) AS major
    LEFT JOIN LATERAL (
        SELECT array_agg(DISTINCT finding.rule ORDER BY finding.rule) AS rules, bool_or(finding.severity = 'quarantine') AS has_quarantine
        FROM financial_screener.data_findings AS finding
        WHERE finding.asset_id = asset.id AND finding.state IN ('open', 'confirmed')
    ) AS findings ON true
    WHERE asset.kind = 'listing'
) AS known;

-- Makes all rows and rates again, as they have to be: for people who wrote bars by hand.
CREATE FUNCTION financial_screener.refresh_screener() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    every integer[] := ARRAY(SELECT id FROM financial_screener.assets ORDER BY id);
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('financial_screener.usd_rates'));
    PERFORM financial_screener.refresh_usd_rates(id) FROM financial_screener.assets WHERE kind = 'fx';
    PERFORM financial_screener.refresh_screener_rows(every, every, NULL);
END
$$;

-- Brings screener_more, refresh_screener_rows and v_screener to the columns of technical_indicators. A migration that adds one calls it.
CREATE FUNCTION financial_screener.follow_indicator_columns() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $make$
DECLARE
    missing record;
    parts   text[];
    newest  text;
    shown   text;
BEGIN
    FOR missing IN
        SELECT source.attname AS name, format_type(source.atttypid, source.atttypmod) AS type
        FROM pg_attribute AS source
        WHERE source.attrelid = 'financial_screener.technical_indicators'::regclass AND source.attnum > 0 AND NOT source.attisdropped
          AND source.attname NOT IN ('execution_id', 'last_bar')
          AND NOT EXISTS (
              SELECT FROM pg_attribute AS known
              WHERE known.attrelid IN ('financial_screener.screener_rows'::regclass, 'financial_screener.screener_facts'::regclass,
                                       'financial_screener.screener_more'::regclass)
                AND known.attname = source.attname
          )
        ORDER BY source.attnum
    LOOP
        EXECUTE format('ALTER TABLE financial_screener.screener_more ADD COLUMN %I %s', missing.name, missing.type);
    END LOOP;

    -- For each of the three tables: names of its columns that are of assets; their values; their assignments; whether one differs; the
    -- assignments of its columns of indicators, and those.
    SELECT array_agg(part ORDER BY target.name DESC, part_number)
    INTO parts
    FROM (
        VALUES ('rows', 'financial_screener.screener_rows'::regclass), ('more', 'financial_screener.screener_more'::regclass),
               ('facts', 'financial_screener.screener_facts'::regclass)
    ) AS target (name, relation)
    CROSS JOIN LATERAL (
        SELECT string_agg(format('%I', kept.attname), ', ' ORDER BY kept.attnum) FILTER (WHERE of_assets),
               string_agg(format('fresh.%I', kept.attname), ', ' ORDER BY kept.attnum) FILTER (WHERE of_assets),
               string_agg(format('%1$I = fresh.%1$I', kept.attname), ', ' ORDER BY kept.attnum)
                   FILTER (WHERE of_assets AND kept.attname <> 'asset_id'),
               string_agg(format('kept.%1$I IS DISTINCT FROM fresh.%1$I', kept.attname), ' OR ' ORDER BY kept.attnum)
                   FILTER (WHERE of_assets AND kept.attname <> 'asset_id'),
               string_agg(format('%1$I = newest.%1$I', kept.attname), ', ' ORDER BY kept.attnum) FILTER (WHERE NOT of_assets),
               string_agg(format('newest.%I', kept.attname), ', ' ORDER BY kept.attnum) FILTER (WHERE NOT of_assets)
        FROM (
            SELECT column_of.attname, column_of.attnum, EXISTS (
                       SELECT FROM pg_attribute AS fresh
                       WHERE fresh.attrelid = 'financial_screener.screener_assets'::regclass AND fresh.attname = column_of.attname
                   ) AS of_assets
            FROM pg_attribute AS column_of
            WHERE column_of.attrelid = target.relation AND column_of.attnum > 0 AND NOT column_of.attisdropped
              AND column_of.attname <> 'traded_value_30_usd'
        ) AS kept
    ) AS made (p1, p2, p3, p4, p5, p6)
    CROSS JOIN LATERAL unnest(ARRAY[p1, p2, p3, p4, p5, p6]) WITH ORDINALITY AS each (part, part_number);

    SELECT string_agg(format('newest.%I', source.attname), ', ' ORDER BY source.attnum),
           string_agg(format('%s.%I', CASE WHEN common.attname IS NULL THEN 'more' ELSE 'row' END, source.attname), ', ' ORDER BY source.attnum)
    INTO newest, shown
    FROM pg_attribute AS source
    LEFT JOIN pg_attribute AS common ON common.attrelid = 'financial_screener.screener_rows'::regclass AND common.attname = source.attname
    WHERE source.attrelid = 'financial_screener.technical_indicators'::regclass AND source.attnum > 0 AND NOT source.attisdropped
      AND source.attname NOT IN ('asset_id', 'execution_id', 'last_bar');

    -- The locks are a transaction's last and in one order, so they cannot be part of a deadlock. What is read after them has what others
    -- have committed meanwhile: of two transactions that change different sources of a row the later one writes what both say.
    EXECUTE format($refresh$
CREATE OR REPLACE FUNCTION financial_screener.refresh_screener_rows(of_assets integer[], of_indicators integer[], since date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $body$
DECLARE
    added integer[];
BEGIN
    IF cardinality(of_assets) > 0 THEN
        WITH added AS (
            INSERT INTO financial_screener.screener_rows (%1$s)
            SELECT %2$s
            FROM unnest(of_assets) AS wanted (id)
            JOIN financial_screener.screener_assets AS fresh ON fresh.asset_id = wanted.id
            WHERE NOT EXISTS (SELECT FROM financial_screener.screener_rows AS known WHERE known.asset_id = fresh.asset_id)
            ORDER BY fresh.asset_id
            ON CONFLICT DO NOTHING
            RETURNING asset_id
        )
        SELECT array_agg(asset_id) INTO added FROM added;
    END IF;
    IF added IS NOT NULL THEN
        INSERT INTO financial_screener.screener_facts (%13$s)
        SELECT %14$s FROM unnest(added) AS wanted (id) JOIN financial_screener.screener_assets AS fresh ON fresh.asset_id = wanted.id;
        INSERT INTO financial_screener.screener_more (asset_id) SELECT unnest(added);
        of_indicators := ARRAY(SELECT unnest(of_indicators) UNION SELECT unnest(added));
        since := NULL;
    END IF;
    PERFORM FROM (SELECT unnest(of_assets) AS id UNION SELECT unnest(of_indicators)) AS wanted
    JOIN financial_screener.screener_rows AS known ON known.asset_id = wanted.id
    ORDER BY known.asset_id
    FOR NO KEY UPDATE OF known;
    IF cardinality(of_assets) > 0 THEN
        WITH fresh AS MATERIALIZED (
            SELECT fresh.* FROM (SELECT DISTINCT unnest(of_assets) AS id) AS wanted
            JOIN financial_screener.screener_assets AS fresh ON fresh.asset_id = wanted.id
        ), facts AS (
            UPDATE financial_screener.screener_facts AS kept
            SET %15$s
            FROM fresh
            WHERE kept.asset_id = fresh.asset_id AND (%16$s)
        )
        UPDATE financial_screener.screener_rows AS kept
        SET %3$s,
            traded_value_30_usd = financial_screener.usd_rate(fresh.major_currency, kept.calculation_date) * kept.traded_value_30
        FROM fresh
        WHERE kept.asset_id = fresh.asset_id
          AND (%4$s OR kept.traded_value_30_usd IS DISTINCT FROM
               financial_screener.usd_rate(fresh.major_currency, kept.calculation_date) * kept.traded_value_30);
        DELETE FROM financial_screener.screener_rows AS gone
        USING unnest(of_assets) AS wanted (id), financial_screener.assets AS asset
        WHERE gone.asset_id = wanted.id AND asset.id = wanted.id AND asset.kind <> 'listing';
    END IF;
    IF cardinality(of_indicators) > 0 THEN
        WITH more AS (
            UPDATE financial_screener.screener_more AS kept
            SET %11$s
            FROM unnest(of_indicators) AS wanted (id)
            LEFT JOIN LATERAL (
                SELECT %19$s
                FROM financial_screener.technical_indicators AS newest
                WHERE newest.asset_id = wanted.id AND newest.calculation_date >= coalesce(since, '-infinity')
                ORDER BY newest.calculation_date DESC
                LIMIT 1
            ) AS newest ON true
            WHERE kept.asset_id = wanted.id AND (newest.calculation_date IS NOT NULL OR kept.calculated_at IS NOT NULL)
            RETURNING kept.asset_id, %6$s
        )
        UPDATE financial_screener.screener_rows AS kept
        SET %5$s,
            -- As usd_rate gives it, which would cost more than all else of a row.
            traded_value_30_usd = newest.traded_value_30 * CASE WHEN kept.major_currency = 'USD' THEN 1.0::double precision ELSE (
                SELECT rate.usd FROM financial_screener.usd_rates AS rate
                WHERE rate.currency = kept.major_currency AND rate.day = newest.calculation_date
            ) END
        FROM more AS newest
        WHERE kept.asset_id = newest.asset_id;
    END IF;
END
$body$
$refresh$, VARIADIC parts || newest);

    EXECUTE format($view$
CREATE OR REPLACE VIEW financial_screener.v_screener AS
SELECT row.asset_id, row.ticker, facts.code, row.exchange, row.name, facts.type, facts.isin, facts.country, row.currency, row.major_currency,
       row.listed, row.sector, facts.industry,
       facts.market_cap, facts.market_cap_currency, row.market_cap_usd, facts.market_cap_day,
       facts.shares_outstanding, facts.shares_float, facts.enterprise_value,
       row.pe_ratio, facts.trailing_pe, facts.forward_pe, facts.peg_ratio, facts.price_sales_ttm, row.price_book_mrq,
       facts.enterprise_value_revenue, facts.enterprise_value_ebitda, facts.book_value, facts.earnings_share,
       facts.eps_estimate_current_year, facts.eps_estimate_next_year,
       row.dividend_yield, facts.dividend_share, facts.forward_dividend_yield, facts.forward_dividend_rate, row.payout_ratio,
       row.ex_dividend_date, facts.dividend_date,
       facts.profit_margin, row.operating_margin_ttm, row.return_on_assets_ttm, row.return_on_equity_ttm,
       facts.statements_currency, facts.revenue_ttm, facts.gross_profit_ttm, facts.ebitda,
       row.quarterly_revenue_growth_yoy, row.quarterly_earnings_growth_yoy,
       facts.short_ratio, facts.short_percent_float, facts.analyst_rating, facts.analyst_target_price,
       facts.most_recent_quarter, facts.fundamentals_date,
       row.current_price AS last_price, row.traded_value_30_usd, row.calculation_date AS last_bar,
       CASE WHEN row.awaits_history OR row.calculation_date IS NULL THEN true ELSE row.calculation_date < expected.session END AS is_stale,
       expected.session AS expected_bar,
       facts.quality_flags, row.is_flagged, row.has_quarantine, %s
FROM financial_screener.screener_rows AS row
-- Once a query, not once an asset.
JOIN (
    SELECT exchange.id,
           (SELECT max(candidate.session)
            FROM financial_screener.exchange_sessions AS candidate
            WHERE candidate.exchange_id = exchange.id AND candidate.session <= (now() AT TIME ZONE 'UTC')::date + 1
              AND candidate.closes_at + exchange.publication_delay <= now()) AS session
    FROM financial_screener.exchanges AS exchange
    OFFSET 0
) AS expected ON expected.id = row.exchange_id
-- Outer joins by the key, each of which is left out where nothing of it is asked for.
LEFT JOIN financial_screener.screener_facts AS facts ON facts.asset_id = row.asset_id
LEFT JOIN financial_screener.screener_more AS more ON more.asset_id = row.asset_id
$view$, shown);
    PERFORM financial_screener.refresh_screener();
END
$make$;
SELECT financial_screener.follow_indicator_columns();

REVOKE EXECUTE ON FUNCTION
    financial_screener.usd_rate(text, date), financial_screener.refresh_usd_rates(integer), financial_screener.note_state_for_screener(),
    financial_screener.note_indicators_for_screener(), financial_screener.note_findings_for_screener(),
    financial_screener.note_assets_for_screener(), financial_screener.settle_screener(), financial_screener.refresh_screener(),
    financial_screener.refresh_screener_rows(integer[], integer[], date), financial_screener.follow_indicator_columns()
    FROM PUBLIC;
GRANT SELECT ON financial_screener.v_screener TO screener_operator, screener_collector, screener_analyzer, screener_reader;

COMMENT ON COLUMN financial_screener.v_screener.market_cap_usd IS
    'market_cap in USD by the rate of market_cap_day: the last close of XXXUSD of that day, or of one of the four days before, so that Friday''s '
    'serves over the weekend, and while a session was not asked for yet. NULL where a session that was asked for has none, or the newest is older: '
    'never by a rate of another time, nor of later.';
COMMENT ON COLUMN financial_screener.v_screener.traded_value_30_usd IS
    'traded_value_30 in USD by the rate of last_bar, as for market_cap_usd.';
COMMENT ON COLUMN financial_screener.v_screener.market_cap_day IS
    'The day on which market_cap was read from the vendor, by whose rate it is converted.';
