-- The universe beyond common stocks of known exchanges: reference series, units of money, what changed in a list and when.

ALTER TABLE financial_screener.exchanges
    ADD COLUMN kind text NOT NULL DEFAULT 'listings' CHECK (kind IN ('listings', 'reference')),
    ADD COLUMN actions_time time NOT NULL DEFAULT '04:00',
    ADD COLUMN volumes_final_after interval,
    ADD COLUMN listed_rows integer,
    ADD COLUMN listed_types text[],
    ADD COLUMN believe_next_list boolean NOT NULL DEFAULT false,
    ADD COLUMN flags text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN financial_screener.exchanges.kind IS 'reference: INDX and FOREX, whose assets are indices and rates, outside the universe and its counts.';
COMMENT ON COLUMN financial_screener.exchanges.actions_time IS
    'UTC time of the day after a session from which the vendor''s lists of its splits and dividends are final.';
COMMENT ON COLUMN financial_screener.exchanges.volumes_final_after IS
    'From the close until the vendor''s volumes are final, where it publishes preliminary ones: then the session is asked for again.';
COMMENT ON COLUMN financial_screener.exchanges.listed_rows IS 'Rows of the vendor''s latest symbol list, all types.';
COMMENT ON COLUMN financial_screener.exchanges.listed_types IS 'The types of assets that were wanted of it.';
COMMENT ON COLUMN financial_screener.exchanges.believe_next_list IS
    'Set by people: the next list is believed whatever it lacks, once; for an exchange that the vendor really lists less of.';
COMMENT ON COLUMN financial_screener.exchanges.benchmark IS 'The index that its assets are compared with, such as GSPC.INDX.';
COMMENT ON COLUMN financial_screener.exchanges.flags IS 'What is doubtful about it: no known calendar, a zone that contradicts the MIC, details that were not believed.';
UPDATE financial_screener.exchanges SET volumes_final_after = '12 hours' WHERE code = 'US';
-- An index has the sessions of its exchange; a rate has a bar every weekday, which ends with it.
INSERT INTO financial_screener.exchanges (code, name, kind, time_zone, close_override, publication_delay) VALUES
    ('INDX', 'Indices', 'reference', 'UTC', NULL, '3 hours'),
    ('FOREX', 'Currencies', 'reference', 'UTC', '23:59', '3 hours');

-- Where the calendar library is known to be wrong. Half days keep the library's close.
CREATE TABLE financial_screener.calendar_corrections (
    calendar  text NOT NULL,
    first_day date NOT NULL,
    last_day  date,
    closes    time,
    reason    text NOT NULL,
    PRIMARY KEY (calendar, first_day),
    CHECK (last_day >= first_day)
);
COMMENT ON COLUMN financial_screener.calendar_corrections.calendar IS 'Name in the exchange_calendars library.';
COMMENT ON COLUMN financial_screener.calendar_corrections.last_day IS 'NULL: until another correction begins.';
COMMENT ON COLUMN financial_screener.calendar_corrections.closes IS 'The local close of normal days; NULL: there is no session.';
-- Since October 2022 it closes at 20:00 on public holidays, too, on which it trades: bars expected two hours too late harm nobody.
INSERT INTO financial_screener.calendar_corrections (calendar, first_day, closes, reason) VALUES
    ('XFRA', '2011-06-01', '20:00', 'Trading with specialists from 8:00 to 20:00; the library has the hours of Xetra.'),
    ('XFRA', '2021-11-29', '22:00', 'Shares trade until 22:00: Xetra circular 057/2021.');
UPDATE financial_screener.exchanges SET close_override = NULL WHERE code = 'F';
COMMENT ON COLUMN financial_screener.exchanges.close_override IS
    'Local close of normal days, whatever the library, its corrections and the vendor say; for a deployment''s own use.';

CREATE TABLE financial_screener.exchange_closed_days (
    exchange_id smallint NOT NULL REFERENCES financial_screener.exchanges,
    day         date     NOT NULL,
    name        text,
    known_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (exchange_id, day)
);
COMMENT ON TABLE financial_screener.exchange_closed_days IS
    'Official holidays by the vendor''s exchange details, which the calendar library may not know; no sessions.';

ALTER TABLE financial_screener.assets
    ADD COLUMN kind text NOT NULL DEFAULT 'listing' CHECK (kind IN ('listing', 'index', 'fx')),
    ADD COLUMN market_cap_currency text,
    ADD COLUMN statements_currency text;
COMMENT ON COLUMN financial_screener.assets.currency IS 'The unit of its prices as its exchange''s list has it, such as GBX: see currency_units.';
COMMENT ON COLUMN financial_screener.assets.market_cap_currency IS 'The currency of market_cap, in major units: GBP where the prices are in GBX.';
COMMENT ON COLUMN financial_screener.assets.statements_currency IS
    'The currency of its statements, and so of ebitda, revenue_ttm and gross_profit_ttm, in major units; often not that of its prices.';
COMMENT ON COLUMN financial_screener.assets.kind IS 'listing: of the universe; index and fx: reference series such as GSPC.INDX and EURUSD.FOREX.';

-- Units that the vendor quotes prices in and that are a part of a currency: 100 GBX are 1 GBP.
CREATE TABLE financial_screener.currency_units (
    code      text PRIMARY KEY,
    currency  text    NOT NULL,
    per_major integer NOT NULL CHECK (per_major > 0)
);
INSERT INTO financial_screener.currency_units (code, currency, per_major) VALUES
    ('GBX', 'GBP', 100), ('GBp', 'GBP', 100), ('ZAC', 'ZAR', 100), ('ZAc', 'ZAR', 100), ('ILA', 'ILS', 100), ('ILX', 'ILS', 100),
    ('USX', 'USD', 100), ('USc', 'USD', 100), ('KWF', 'KWD', 1000);

-- What a unit's code stands for: a part of a currency, or a currency; no row for anything else, such as Unknown.
CREATE FUNCTION financial_screener.unit_of(code text) RETURNS TABLE (currency text, per_major integer)
LANGUAGE sql STABLE ROWS 1 AS $$
    SELECT unit.currency, unit.per_major FROM financial_screener.currency_units AS unit WHERE unit.code = unit_of.code
    UNION ALL
    SELECT unit_of.code, 1
    WHERE unit_of.code ~ '^[A-Z]{3}$'
      AND NOT EXISTS (SELECT FROM financial_screener.currency_units AS unit WHERE unit.code = unit_of.code)
$$;
COMMENT ON FUNCTION financial_screener.unit_of(text) IS 'GBX is GBP, of which it makes 100 parts; USD is USD.';

-- Whether exchange rates have a session on a day: each weekday but two on which no market of the world is open.
CREATE FUNCTION financial_screener.is_rate_session(day date) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT extract(isodow FROM day) < 6 AND extract(month FROM day) * 100 + extract(day FROM day) NOT IN (101, 1225)
$$;

-- USD for one of a currency: the rate's last close of the five days up to that day. It speaks for days without a session, and for sessions
-- that were not asked for yet. NULL where a session that was asked for has no bar, and where there is none of five days: never an older.
CREATE FUNCTION financial_screener.usd_per(currency text, on_day date) RETURNS double precision
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN usd_per.currency = 'USD' THEN 1.0::double precision ELSE (
        SELECT CASE WHEN NOT EXISTS (
                   SELECT FROM generate_series(1, least(usd_per.on_day, newest.checked_to) - newest.date) AS later (days)
                   WHERE financial_screener.is_rate_session(newest.date + later.days)
               ) THEN newest.close END
        FROM (
            SELECT bar.date, bar.close, coalesce(state.prices_checked_to, bar.date) AS checked_to
            FROM financial_screener.assets AS rate
            JOIN financial_screener.stock_prices AS bar ON bar.asset_id = rate.id
            LEFT JOIN financial_screener.asset_processing_state AS state ON state.asset_id = rate.id
            WHERE rate.ticker = usd_per.currency || 'USD.FOREX' AND rate.kind = 'fx' AND bar.close > 0
              AND bar.date > usd_per.on_day - 5 AND bar.date <= usd_per.on_day
            ORDER BY bar.date DESC
            LIMIT 1
        ) AS newest
    ) END
$$;

-- An amount in another unit, such as a dividend in USD in the pence that its listing is quoted in; NULL where no rate is known.
CREATE FUNCTION financial_screener.convert_money(amount double precision, from_unit text, to_unit text, on_day date)
RETURNS double precision LANGUAGE sql STABLE AS $$
    SELECT CASE
               WHEN source.currency = target.currency THEN amount * target.per_major / source.per_major
               ELSE amount * target.per_major / source.per_major
                    * financial_screener.usd_per(source.currency, on_day) / financial_screener.usd_per(target.currency, on_day)
           END
    FROM financial_screener.unit_of(from_unit) AS source
    CROSS JOIN financial_screener.unit_of(to_unit) AS target
$$;

CREATE TABLE financial_screener.asset_events (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset_id     integer REFERENCES financial_screener.assets,
    exchange_id  smallint NOT NULL REFERENCES financial_screener.exchanges,
    event        text NOT NULL CHECK (event IN (
                     'new', 'renamed', 'delisted', 'relisted', 'type_changed', 'currency_changed', 'isin_changed', 'list_not_believed')),
    old          jsonb,
    new          jsonb,
    execution_id text NOT NULL,
    happened_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX asset_events_asset_id_idx ON financial_screener.asset_events (asset_id);
COMMENT ON TABLE financial_screener.asset_events IS 'What changed in the vendor''s symbol lists; an event without an asset is about a whole list.';

GRANT SELECT ON financial_screener.currency_units, financial_screener.asset_events
    TO screener_operator, screener_collector, screener_analyzer;
GRANT INSERT ON financial_screener.asset_events TO screener_collector;
GRANT SELECT ON financial_screener.calendar_corrections, financial_screener.exchange_closed_days
    TO screener_operator, screener_collector, screener_analyzer;
GRANT INSERT, UPDATE, DELETE ON financial_screener.exchange_closed_days TO screener_collector;
GRANT DELETE ON financial_screener.exchange_sessions TO screener_collector;
GRANT UPDATE ON financial_screener.api_ticker_priority TO screener_collector;
REVOKE EXECUTE ON FUNCTION
    financial_screener.unit_of(text), financial_screener.is_rate_session(date), financial_screener.usd_per(text, date),
    financial_screener.convert_money(double precision, text, text, date)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    financial_screener.unit_of(text), financial_screener.is_rate_session(date), financial_screener.usd_per(text, date),
    financial_screener.convert_money(double precision, text, text, date)
    TO screener_operator, screener_collector, screener_analyzer;
