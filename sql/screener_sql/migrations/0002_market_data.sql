-- What the market is: exchanges, their sessions, assets, bars, actions, indicators.

CREATE TABLE financial_screener.exchanges (
    id                smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code              text     NOT NULL UNIQUE CHECK (code ~ '^[A-Z0-9]{1,12}$'),
    name              text,
    mic               text,
    calendar          text,
    time_zone         text,
    close_override    time,
    publication_delay interval NOT NULL DEFAULT interval '3 hours' CHECK (publication_delay >= interval '0'),
    currency          text,
    country           text,
    benchmark         text,
    details           jsonb,
    listed_at         timestamptz,
    details_at        timestamptz
);
COMMENT ON COLUMN financial_screener.exchanges.code IS 'The vendor''s exchange code, as in AAPL.US.';
COMMENT ON COLUMN financial_screener.exchanges.calendar IS 'Name in the exchange_calendars library; NULL: weekdays serve as sessions.';
COMMENT ON COLUMN financial_screener.exchanges.close_override IS 'Local close where the library''s is known to be wrong.';
COMMENT ON COLUMN financial_screener.exchanges.publication_delay IS 'From the close until the vendor has the session''s bars.';
COMMENT ON COLUMN financial_screener.exchanges.listed_at IS 'When the vendor''s symbol list was last read and believed.';

-- Frankfurt trades shares until 22:00 since 2021-11-29 (Xetra circular 057/2021); the library says 17:30.
INSERT INTO financial_screener.exchanges
    (code, name, mic, calendar, time_zone, close_override, publication_delay, currency, country, benchmark)
VALUES
    ('US',    'USA Stocks',          'XNYS', 'XNYS', 'America/New_York', NULL,    '1 hour',  'USD', 'USA',         'GSPC.INDX'),
    ('LSE',   'London Exchange',     'XLON', 'XLON', 'Europe/London',    NULL,    '3 hours', 'GBP', 'UK',          'FTSE.INDX'),
    ('F',     'Frankfurt Exchange',  'XFRA', 'XFRA', 'Europe/Berlin',    '22:00', '3 hours', 'EUR', 'Germany',     'GDAXI.INDX'),
    ('XETRA', 'XETRA Exchange',      'XETR', 'XETR', 'Europe/Berlin',    NULL,    '3 hours', 'EUR', 'Germany',     'GDAXI.INDX'),
    ('PA',    'Euronext Paris',      'XPAR', 'XPAR', 'Europe/Paris',     NULL,    '3 hours', 'EUR', 'France',      'FCHI.INDX'),
    ('AS',    'Euronext Amsterdam',  'XAMS', 'XAMS', 'Europe/Amsterdam', NULL,    '3 hours', 'EUR', 'Netherlands', 'AEX.INDX'),
    ('BR',    'Euronext Brussels',   'XBRU', 'XBRU', 'Europe/Brussels',  NULL,    '3 hours', 'EUR', 'Belgium',     'BFX.INDX'),
    ('LS',    'Euronext Lisbon',     'XLIS', 'XLIS', 'Europe/Lisbon',    NULL,    '3 hours', 'EUR', 'Portugal',    'PSI20.INDX'),
    ('MC',    'Madrid Exchange',     'BMEX', 'XMAD', 'Europe/Madrid',    NULL,    '3 hours', 'EUR', 'Spain',       'IBEX.INDX'),
    ('SW',    'SIX Swiss Exchange',  'XSWX', 'XSWX', 'Europe/Zurich',    NULL,    '3 hours', 'CHF', 'Switzerland', 'SSMI.INDX');

CREATE TABLE financial_screener.exchange_sessions (
    exchange_id smallint    NOT NULL REFERENCES financial_screener.exchanges,
    session     date        NOT NULL,
    closes_at   timestamptz NOT NULL,
    PRIMARY KEY (exchange_id, session)
);
COMMENT ON TABLE financial_screener.exchange_sessions IS 'The trading days of an exchange and when each closes, half days included.';

CREATE TABLE financial_screener.assets (
    id               integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code             text        NOT NULL,
    exchange_id      smallint    NOT NULL REFERENCES financial_screener.exchanges,
    ticker           text        NOT NULL UNIQUE,
    name             text,
    type             text,
    currency         text,
    country          text,
    isin             text,
    listed           boolean     NOT NULL DEFAULT true,
    first_listed_at  timestamptz NOT NULL DEFAULT now(),
    delisted_at      timestamptz,
    -- General
    country_iso      text,
    sector           text,
    industry         text,
    gic_sector       text,
    gic_group        text,
    gic_industry     text,
    gic_sub_industry text,
    home_category    text,
    primary_ticker   text,
    open_figi        text,
    lei              text,
    cusip            text,
    cik              text,
    fiscal_year_end  text,
    ipo_date         date,
    is_delisted      boolean,
    description      text,
    web_url          text,
    employees        integer,
    fundamentals_date date,
    -- Highlights
    market_cap                    numeric,
    ebitda                        numeric,
    pe_ratio                      double precision,
    peg_ratio                     double precision,
    target_price                  double precision,
    book_value                    double precision,
    dividend_share                double precision,
    dividend_yield                double precision,
    earnings_share                double precision,
    eps_estimate_current_year     double precision,
    eps_estimate_next_year        double precision,
    eps_estimate_current_quarter  double precision,
    eps_estimate_next_quarter     double precision,
    most_recent_quarter           date,
    profit_margin                 double precision,
    operating_margin_ttm          double precision,
    return_on_assets_ttm          double precision,
    return_on_equity_ttm          double precision,
    revenue_ttm                   numeric,
    revenue_per_share_ttm         double precision,
    quarterly_revenue_growth_yoy  double precision,
    gross_profit_ttm              numeric,
    diluted_eps_ttm               double precision,
    quarterly_earnings_growth_yoy double precision,
    -- Valuation
    trailing_pe              double precision,
    forward_pe               double precision,
    price_sales_ttm          double precision,
    price_book_mrq           double precision,
    enterprise_value         numeric,
    enterprise_value_revenue double precision,
    enterprise_value_ebitda  double precision,
    -- SharesStats
    shares_outstanding        numeric,
    shares_float              numeric,
    percent_insiders          double precision,
    percent_institutions      double precision,
    shares_short              numeric,
    short_ratio               double precision,
    short_percent_outstanding double precision,
    short_percent_float       double precision,
    -- Technicals, as the vendor publishes them
    vendor_beta         double precision,
    vendor_week_52_high double precision,
    vendor_week_52_low  double precision,
    vendor_sma_50       double precision,
    vendor_sma_200      double precision,
    -- SplitsDividends
    forward_dividend_rate  double precision,
    forward_dividend_yield double precision,
    payout_ratio           double precision,
    dividend_date          date,
    ex_dividend_date       date,
    last_split_factor      text,
    last_split_date        date,
    -- AnalystRatings
    analyst_rating       double precision,
    analyst_target_price double precision,
    analyst_strong_buy   integer,
    analyst_buy          integer,
    analyst_hold         integer,
    analyst_sell         integer,
    analyst_strong_sell  integer,
    -- The payload's sections whole
    eodhd_general              jsonb,
    eodhd_highlights           jsonb,
    eodhd_valuation            jsonb,
    eodhd_shares_stats         jsonb,
    eodhd_technicals           jsonb,
    eodhd_splits_dividends     jsonb,
    eodhd_analyst_ratings      jsonb,
    eodhd_holders              jsonb,
    eodhd_insider_transactions jsonb,
    eodhd_esg_scores           jsonb,
    eodhd_outstanding_shares   jsonb,
    eodhd_earnings             jsonb,
    eodhd_financials           jsonb,
    eodhd_etf_data             jsonb,
    UNIQUE (code, exchange_id)
);
CREATE INDEX assets_exchange_id_idx ON financial_screener.assets (exchange_id);
COMMENT ON COLUMN financial_screener.assets.ticker IS 'As the vendor writes it: AAPL.US. The identity is (code, exchange_id).';
COMMENT ON COLUMN financial_screener.assets.listed IS 'Whether the vendor''s latest symbol list of the exchange has it; bars of others are kept.';

CREATE TABLE financial_screener.stock_prices (
    asset_id  integer          NOT NULL REFERENCES financial_screener.assets,
    date      date             NOT NULL,
    open      double precision NOT NULL,
    high      double precision NOT NULL,
    low       double precision NOT NULL,
    close     double precision NOT NULL,
    adj_close double precision NOT NULL,
    volume    bigint           NOT NULL,
    PRIMARY KEY (asset_id, date)
) PARTITION BY RANGE (date);
COMMENT ON TABLE financial_screener.stock_prices IS
    'Bars as the vendor gives them: open to close raw, in the listing''s unit; adj_close adjusted for splits and dividends; volume adjusted for splits.';

CREATE TABLE financial_screener.stock_prices_before_2000 PARTITION OF financial_screener.stock_prices
    FOR VALUES FROM (MINVALUE) TO ('2000-01-01');

CREATE TABLE financial_screener.technical_indicators (
    asset_id         integer     NOT NULL REFERENCES financial_screener.assets,
    calculation_date date        NOT NULL,
    sma_50           double precision,
    sma_200          double precision,
    ema_12           double precision,
    ema_26           double precision,
    wma_20           double precision,
    rsi_14           double precision,
    stoch_k          double precision,
    stoch_d          double precision,
    stoch_rsi        double precision,
    cci_20           double precision,
    macd             double precision,
    macd_signal      double precision,
    macd_histogram   double precision,
    dmi_plus         double precision,
    dmi_minus        double precision,
    adx              double precision,
    atr_14           double precision,
    volatility       double precision,
    std_dev          double precision,
    bb_upper         double precision,
    bb_middle        double precision,
    bb_lower         double precision,
    bb_bandwidth     double precision,
    sar              double precision,
    beta             double precision,
    slope            double precision,
    avg_volume_30    double precision,
    avg_volume_90    double precision,
    week_52_high     double precision,
    week_52_low      double precision,
    current_price    double precision,
    bars_used        integer     NOT NULL,
    calculated_at    timestamptz NOT NULL DEFAULT now(),
    execution_id     text        NOT NULL,
    PRIMARY KEY (asset_id, calculation_date)
) PARTITION BY RANGE (calculation_date);
COMMENT ON COLUMN financial_screener.technical_indicators.calculation_date IS 'The date of the last bar used.';

CREATE TABLE financial_screener.technical_indicators_before_2000 PARTITION OF financial_screener.technical_indicators
    FOR VALUES FROM (MINVALUE) TO ('2000-01-01');

CREATE TABLE financial_screener.corporate_actions (
    asset_id      integer     NOT NULL REFERENCES financial_screener.assets,
    ex_date       date        NOT NULL,
    kind          text        NOT NULL CHECK (kind IN ('split', 'dividend')),
    split_new     double precision CHECK (split_new > 0),
    split_old     double precision CHECK (split_old > 0),
    dividend      double precision,
    currency      text,
    payload       jsonb       NOT NULL,
    execution_id  text        NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (asset_id, ex_date, kind),
    CHECK ((kind = 'split') = (split_new IS NOT NULL AND split_old IS NOT NULL)),
    CHECK ((kind = 'dividend') = (dividend IS NOT NULL))
);
COMMENT ON COLUMN financial_screener.corporate_actions.split_new IS 'Shares held after the split for split_old before it.';

CREATE TABLE financial_screener.quarantined_bars (
    asset_id       integer     NOT NULL REFERENCES financial_screener.assets,
    date           date,
    rule           text        NOT NULL,
    bar            jsonb       NOT NULL,
    execution_id   text        NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_at    timestamptz,
    UNIQUE NULLS NOT DISTINCT (asset_id, date, rule)
);
COMMENT ON TABLE financial_screener.quarantined_bars IS
    'Bars that broke a rule and were not stored; released_at: a later answer had a good bar for that date.';
