-- A bulk answer that a rule of batches sets aside leaves its rows too, as bars that a rule of series sets aside do.
CREATE TABLE financial_screener.quarantined_batches (
    exchange_id  smallint    NOT NULL REFERENCES financial_screener.exchanges,
    session      date        NOT NULL,
    rule         text        NOT NULL REFERENCES financial_screener.data_rules,
    asked_at     timestamptz NOT NULL,
    rows         jsonb       NOT NULL,
    execution_id text        NOT NULL,
    PRIMARY KEY (exchange_id, session)
);
COMMENT ON TABLE financial_screener.quarantined_batches IS
    'Bulk answers that were not believed: the newest of each session. The finding of its rule is in data_findings, every answer''s counts in bulk_days.';
COMMENT ON COLUMN financial_screener.quarantined_batches.rows IS
    'As the vendor served them, of assets that were waited for or had a bar of the session before.';

GRANT SELECT ON financial_screener.quarantined_batches TO screener_operator, screener_collector, screener_analyzer;
GRANT INSERT, UPDATE ON financial_screener.quarantined_batches TO screener_collector;
