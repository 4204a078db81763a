-- What is held of the vendor's data: the rules, their parameters, and every judgement by them.

CREATE TABLE financial_screener.data_rules (
    rule       text PRIMARY KEY,
    scope      text  NOT NULL CHECK (scope IN ('row', 'series', 'batch', 'cross')),
    severity   text  NOT NULL CHECK (severity IN ('quarantine', 'flag')),
    parameters jsonb NOT NULL DEFAULT '{}',
    sentence   text  NOT NULL
);

CREATE TABLE financial_screener.data_findings (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset_id     integer REFERENCES financial_screener.assets,
    exchange_id  smallint REFERENCES financial_screener.exchanges,
    date_from    date NOT NULL,
    date_to      date NOT NULL,
    rule         text NOT NULL REFERENCES financial_screener.data_rules,
    severity     text NOT NULL CHECK (severity IN ('quarantine', 'flag')),
    measured     double precision,
    expected     double precision,
    message      text,
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'released', 'confirmed')),
    execution_id text NOT NULL,
    found_at     timestamptz NOT NULL DEFAULT now(),
    changed_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (date_to >= date_from),
    CHECK (asset_id IS NOT NULL OR exchange_id IS NOT NULL),
    UNIQUE NULLS NOT DISTINCT (asset_id, exchange_id, rule, date_from)
);
CREATE INDEX data_findings_execution_id_idx ON financial_screener.data_findings (execution_id);

CREATE TABLE financial_screener.execution_quality (
    execution_id text PRIMARY KEY,
    bars_checked bigint NOT NULL DEFAULT 0
);

GRANT SELECT ON financial_screener.data_rules, financial_screener.data_findings, financial_screener.execution_quality
    TO screener_operator, screener_collector, screener_analyzer;
GRANT INSERT, UPDATE ON financial_screener.data_findings, financial_screener.execution_quality TO screener_collector;
