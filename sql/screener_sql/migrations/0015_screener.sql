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
    'usd_per of every day that has one, written in the transaction that changes the bars of XXXUSD.FOREX.';

-- The days for which the bars of a rate speak, as usd_per reads them: each for its own day and four more, until the next.
CREATE FUNCTION financial_screener.refresh_usd_rates(rate integer) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH series AS (
        SELECT left(asset.ticker, -length('USD.FOREX')) AS currency FROM financial_screener.assets AS asset
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
    ), gone AS (
        DELETE FROM financial_screener.usd_rates AS stored
        USING series
        WHERE stored.currency = series.currency AND NOT EXISTS (SELECT FROM known WHERE known.day = stored.day)
    )
    INSERT INTO financial_screener.usd_rates AS stored (currency, day, usd)
    SELECT known.currency, known.day, known.usd FROM known
    ON CONFLICT (currency, day) DO UPDATE SET usd = excluded.usd WHERE stored.usd <> excluded.usd
$$;

-- A writer of bars sets prices_changed_at, before or after it writes them: hence at the transaction's end.
CREATE FUNCTION financial_screener.follow_rate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM financial_screener.refresh_usd_rates(NEW.asset_id);
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER rates_come AFTER INSERT ON financial_screener.asset_processing_state
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.ticker LIKE '%USD.FOREX') EXECUTE FUNCTION financial_screener.follow_rate();
CREATE CONSTRAINT TRIGGER rates_change AFTER UPDATE ON financial_screener.asset_processing_state
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.ticker LIKE '%USD.FOREX' AND NEW.prices_changed_at IS DISTINCT FROM OLD.prices_changed_at)
    EXECUTE FUNCTION financial_screener.follow_rate();

-- The columns of indicators come first, where a scan reaches them soonest, and have no index, so that a day's new values of all of them
-- go into the same pages and no index is written.
CREATE TABLE financial_screener.screener_rows (
    LIKE financial_screener.technical_indicators,
    exchange_id                   smallint NOT NULL,
    listed                        boolean NOT NULL,
    has_quarantine                boolean NOT NULL,
    pe_ratio                      double precision,
    trailing_pe                   double precision,
    forward_pe                    double precision,
    peg_ratio                     double precision,
    price_sales_ttm               double precision,
    price_book_mrq                double precision,
    enterprise_value_revenue      double precision,
    enterprise_value_ebitda       double precision,
    book_value                    double precision,
    earnings_share                double precision,
    eps_estimate_current_year     double precision,
    eps_estimate_next_year        double precision,
    dividend_yield                double precision,
    dividend_share                double precision,
    forward_dividend_yield        double precision,
    forward_dividend_rate         double precision,
    payout_ratio                  double precision,
    profit_margin                 double precision,
    operating_margin_ttm          double precision,
    return_on_assets_ttm          double precision,
    return_on_equity_ttm          double precision,
    quarterly_revenue_growth_yoy  double precision,
    quarterly_earnings_growth_yoy double precision,
    short_ratio                   double precision,
    short_percent_float           double precision,
    analyst_rating                double precision,
    analyst_target_price          double precision,
    market_cap                    numeric,
    market_cap_currency           text,
    market_cap_day                date,
    shares_outstanding            numeric,
    shares_float                  numeric,
    enterprise_value              numeric,
    statements_currency           text,
    revenue_ttm                   numeric,
    gross_profit_ttm              numeric,
    ebitda                        numeric,
    ex_dividend_date              date,
    dividend_date                 date,
    most_recent_quarter           date,
    fundamentals_date             date,
    ticker                        text NOT NULL UNIQUE,
    code                          text NOT NULL,
    exchange                      text NOT NULL,
    name                          text,
    type                          text,
    isin                          text,
    country                       text,
    currency                      text,
    sector                        text,
    industry                      text,
    quality_flags                 text[] NOT NULL,
    PRIMARY KEY (asset_id),
    FOREIGN KEY (asset_id) REFERENCES financial_screener.assets ON DELETE CASCADE
) WITH (fillfactor = 50);
ALTER TABLE financial_screener.screener_rows
    ALTER calculation_date DROP NOT NULL, ALTER bars_used DROP NOT NULL, ALTER calculated_at DROP NOT NULL, ALTER execution_id DROP NOT NULL;
CREATE INDEX screener_rows_exchange_idx ON financial_screener.screener_rows (exchange);
CREATE INDEX screener_rows_sector_idx ON financial_screener.screener_rows (sector, industry);
CREATE INDEX screener_rows_market_cap_idx ON financial_screener.screener_rows (market_cap);
CREATE INDEX screener_rows_pe_ratio_idx ON financial_screener.screener_rows (pe_ratio);
CREATE INDEX screener_rows_price_book_idx ON financial_screener.screener_rows (price_book_mrq);
CREATE INDEX screener_rows_dividend_yield_idx ON financial_screener.screener_rows (dividend_yield);
CREATE INDEX screener_rows_return_on_equity_idx ON financial_screener.screener_rows (return_on_equity_ttm);
COMMENT ON TABLE financial_screener.screener_rows IS
    'What v_screener reads: of each listing its newest row of technical_indicators, its fundamentals, its open findings. Written by refresh_screener_rows alone.';

-- Assets of which this transaction has changed the row of indicators, or something else, and whose row here follows when it ends; NULL: all.
-- Nothing in it outlives its transaction.
CREATE UNLOGGED TABLE financial_screener.screener_due (
    of_indicators boolean NOT NULL,
    asset_ids     integer[]
);

-- Argument: whether it is about indicators.
CREATE FUNCTION financial_screener.note_for_screener() RETURNS trigger
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
        INSERT INTO financial_screener.screener_due VALUES (TG_ARGV[0]::boolean, changed);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION financial_screener.note_assets_for_screener() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed integer[] := ARRAY(SELECT id FROM after);
BEGIN
    IF cardinality(changed) > 0 THEN
        INSERT INTO financial_screener.screener_due VALUES (false, changed);
    END IF;
    RETURN NULL;
END
$$;

-- The first of a transaction's notes settles all of them.
CREATE FUNCTION financial_screener.settle_screener() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due record;
BEGIN
    WITH settled AS (DELETE FROM financial_screener.screener_due RETURNING of_indicators, asset_ids), ids AS (
        SELECT settled.of_indicators, unnest(settled.asset_ids) AS id FROM settled
        UNION
        SELECT settled.of_indicators, asset.id FROM settled JOIN financial_screener.assets AS asset ON settled.asset_ids IS NULL
    )
    SELECT coalesce(array_agg(ids.id) FILTER (WHERE NOT ids.of_indicators), '{}') AS of_assets,
           coalesce(array_agg(ids.id) FILTER (WHERE ids.of_indicators), '{}') AS of_indicators
    INTO due FROM ids;
    PERFORM financial_screener.refresh_screener_rows(due.of_assets, due.of_indicators);
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER screener_settles AFTER INSERT ON financial_screener.screener_due
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION financial_screener.settle_screener();

CREATE TRIGGER screener_follows_inserts AFTER INSERT ON financial_screener.technical_indicators
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_for_screener(true);
CREATE TRIGGER screener_follows_updates AFTER UPDATE ON financial_screener.technical_indicators
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_for_screener(true);
CREATE TRIGGER screener_follows_deletes AFTER DELETE ON financial_screener.technical_indicators
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_for_screener(true);
CREATE TRIGGER screener_follows_truncates AFTER TRUNCATE ON financial_screener.technical_indicators
    FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_for_screener(true);

CREATE TRIGGER screener_follows_inserts AFTER INSERT ON financial_screener.data_findings
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_for_screener(false);
CREATE TRIGGER screener_follows_updates AFTER UPDATE ON financial_screener.data_findings
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_for_screener(false);
CREATE TRIGGER screener_follows_deletes AFTER DELETE ON financial_screener.data_findings
    REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_for_screener(false);
CREATE TRIGGER screener_follows_truncates AFTER TRUNCATE ON financial_screener.data_findings
    FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_for_screener(false);

CREATE TRIGGER screener_follows_inserts AFTER INSERT ON financial_screener.assets
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_assets_for_screener();
CREATE TRIGGER screener_follows_updates AFTER UPDATE ON financial_screener.assets
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION financial_screener.note_assets_for_screener();

-- Those of its columns that are not of indicators, as they have to be.
CREATE VIEW financial_screener.screener_assets AS
SELECT asset.id AS asset_id, asset.exchange_id, asset.listed,
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
       coalesce(findings.has_quarantine, false) AS has_quarantine, coalesce(findings.rules, '{}') AS quality_flags,
       asset.ticker, asset.code, exchange.code AS exchange, asset.name, asset.type, asset.isin, asset.country, asset.currency,
       coalesce(asset.market_cap_currency, unit.currency, substring(asset.currency FROM '^[A-Z]{3}$')) AS market_cap_currency, asset.statements_currency,
       asset.sector, asset.industry
FROM financial_screener.assets AS asset
JOIN financial_screener.exchanges AS exchange ON exchange.id = asset.exchange_id
LEFT JOIN financial_screener.asset_processing_state AS state ON state.asset_id = asset.id
LEFT JOIN financial_screener.currency_units AS unit ON unit.code = asset.currency
LEFT JOIN LATERAL (
    SELECT array_agg(DISTINCT finding.rule ORDER BY finding.rule) AS rules, bool_or(finding.severity = 'quarantine') AS has_quarantine
    FROM financial_screener.data_findings AS finding
    WHERE finding.asset_id = asset.id AND finding.state IN ('open', 'confirmed')
) AS findings ON true
WHERE asset.kind = 'listing';

-- Makes all rows and rates again, as they have to be: for people who wrote bars by hand.
CREATE FUNCTION financial_screener.refresh_screener() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    every integer[] := ARRAY(SELECT id FROM financial_screener.assets ORDER BY id);
BEGIN
    PERFORM financial_screener.refresh_usd_rates(id) FROM financial_screener.assets WHERE kind = 'fx';
    PERFORM financial_screener.refresh_screener_rows(every, every);
END
$$;

-- Brings screener_rows, refresh_screener_rows and v_screener to the columns of technical_indicators. A migration that adds one calls it.
CREATE FUNCTION financial_screener.follow_indicator_columns() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $make$
DECLARE
    missing       record;
    names         text;
    fresh         text;
    of_assets     text;
    differ        text;
    of_indicators text;
    newest        text;
    shown         text;
BEGIN
    FOR missing IN
        SELECT source.attname AS name, format_type(source.atttypid, source.atttypmod) AS type
        FROM pg_attribute AS source
        WHERE source.attrelid = 'financial_screener.technical_indicators'::regclass AND source.attnum > 0 AND NOT source.attisdropped
          AND NOT EXISTS (
              SELECT FROM pg_attribute AS known
              WHERE known.attrelid = 'financial_screener.screener_rows'::regclass AND known.attname = source.attname
          )
        ORDER BY source.attnum
    LOOP
        EXECUTE format('ALTER TABLE financial_screener.screener_rows ADD COLUMN %I %s', missing.name, missing.type);
    END LOOP;

    SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum),
           string_agg(format('fresh.%I', attname), ', ' ORDER BY attnum),
           string_agg(format('%1$I = fresh.%1$I', attname), ', ' ORDER BY attnum) FILTER (WHERE attname <> 'asset_id'),
           string_agg(format('kept.%1$I IS DISTINCT FROM fresh.%1$I', attname), ' OR ' ORDER BY attnum)
    INTO names, fresh, of_assets, differ
    FROM pg_attribute
    WHERE attrelid = 'financial_screener.screener_assets'::regclass AND attnum > 0;
    SELECT string_agg(format('newest.%I', attname), ', ' ORDER BY attnum),
           string_agg(format('%1$I = newest.%1$I', attname), ', ' ORDER BY attnum),
           string_agg(format('row.%I', attname), ', ' ORDER BY attnum) FILTER (WHERE attname NOT IN ('execution_id', 'last_bar'))
    INTO newest, of_indicators, shown
    FROM pg_attribute
    WHERE attrelid = 'financial_screener.technical_indicators'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'asset_id';

    -- The locks are a transaction's last and in one order, so they cannot be part of a deadlock. What is read after them has what others
    -- have committed meanwhile: of two transactions that change different sources of a row the later one writes what both say.
    EXECUTE format($refresh$
CREATE OR REPLACE FUNCTION financial_screener.refresh_screener_rows(of_assets integer[], of_indicators integer[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $body$
BEGIN
    IF cardinality(of_assets) > 0 THEN
        WITH added AS (
            INSERT INTO financial_screener.screener_rows (%s)
            SELECT %s
            FROM unnest(of_assets) AS wanted (id)
            JOIN financial_screener.screener_assets AS fresh ON fresh.asset_id = wanted.id
            WHERE NOT EXISTS (SELECT FROM financial_screener.screener_rows AS known WHERE known.asset_id = fresh.asset_id)
            ORDER BY fresh.asset_id
            ON CONFLICT DO NOTHING
            RETURNING asset_id
        )
        -- A new row has its indicators to get, too.
        SELECT ARRAY(SELECT asset_id FROM added UNION SELECT unnest(of_indicators)) INTO of_indicators;
    END IF;
    PERFORM FROM (SELECT unnest(of_assets) AS id UNION SELECT unnest(of_indicators)) AS wanted
    JOIN financial_screener.screener_rows AS known ON known.asset_id = wanted.id
    ORDER BY known.asset_id
    FOR NO KEY UPDATE OF known;
    IF cardinality(of_assets) > 0 THEN
        UPDATE financial_screener.screener_rows AS kept
        SET %s
        FROM unnest(of_assets) AS wanted (id)
        JOIN financial_screener.screener_assets AS fresh ON fresh.asset_id = wanted.id
        WHERE kept.asset_id = wanted.id
          AND (%s);
        DELETE FROM financial_screener.screener_rows AS gone
        USING unnest(of_assets) AS wanted (id), financial_screener.assets AS asset
        WHERE gone.asset_id = wanted.id AND asset.id = wanted.id AND asset.kind <> 'listing';
    END IF;
    IF cardinality(of_indicators) > 0 THEN
        UPDATE financial_screener.screener_rows AS kept
        SET %s
        FROM unnest(of_indicators) AS wanted (id)
        LEFT JOIN LATERAL (
            SELECT %s
            FROM financial_screener.technical_indicators AS newest
            WHERE newest.asset_id = wanted.id
            ORDER BY newest.calculation_date DESC
            LIMIT 1
        ) AS newest ON true
        WHERE kept.asset_id = wanted.id AND (newest.calculation_date IS NOT NULL OR kept.calculation_date IS NOT NULL);
    END IF;
END
$body$
$refresh$, names, fresh, of_assets, differ, of_indicators, newest);

    EXECUTE format($view$
CREATE OR REPLACE VIEW financial_screener.v_screener AS
SELECT row.asset_id, row.ticker, row.code, row.exchange, row.name, row.type, row.isin, row.country, row.currency, row.listed,
       row.sector, row.industry,
       row.market_cap, row.market_cap_currency,
       CASE WHEN row.market_cap_currency = 'USD' THEN row.market_cap::double precision
            ELSE row.market_cap::double precision * rate.usd END AS market_cap_usd,
       row.market_cap_day, row.shares_outstanding, row.shares_float, row.enterprise_value,
       row.pe_ratio, row.trailing_pe, row.forward_pe, row.peg_ratio, row.price_sales_ttm, row.price_book_mrq,
       row.enterprise_value_revenue, row.enterprise_value_ebitda, row.book_value, row.earnings_share,
       row.eps_estimate_current_year, row.eps_estimate_next_year,
       row.dividend_yield, row.dividend_share, row.forward_dividend_yield, row.forward_dividend_rate, row.payout_ratio,
       row.ex_dividend_date, row.dividend_date,
       row.profit_margin, row.operating_margin_ttm, row.return_on_assets_ttm, row.return_on_equity_ttm,
       row.statements_currency, row.revenue_ttm, row.gross_profit_ttm, row.ebitda,
       row.quarterly_revenue_growth_yoy, row.quarterly_earnings_growth_yoy,
       row.short_ratio, row.short_percent_float, row.analyst_rating, row.analyst_target_price,
       row.most_recent_quarter, row.fundamentals_date,
       row.current_price AS last_price, row.calculation_date AS last_bar,
       CASE WHEN row.calculation_date IS NULL THEN true ELSE row.calculation_date < expected.session END AS is_stale,
       expected.session AS expected_bar,
       row.quality_flags, row.has_quarantine, %s
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
LEFT JOIN financial_screener.usd_rates AS rate ON rate.currency = row.market_cap_currency AND rate.day = row.market_cap_day
$view$, shown);
    PERFORM financial_screener.refresh_screener();
END
$make$;
SELECT financial_screener.follow_indicator_columns();

REVOKE EXECUTE ON FUNCTION
    financial_screener.refresh_usd_rates(integer), financial_screener.follow_rate(), financial_screener.note_for_screener(),
    financial_screener.note_assets_for_screener(), financial_screener.settle_screener(), financial_screener.refresh_screener(),
    financial_screener.refresh_screener_rows(integer[], integer[]), financial_screener.follow_indicator_columns()
    FROM PUBLIC;
GRANT SELECT ON financial_screener.v_screener TO screener_operator, screener_collector, screener_analyzer, screener_reader;
