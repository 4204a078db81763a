-- What screener-migrate itself needs; run before every other migration, so each statement must bear being run again.
CREATE SCHEMA IF NOT EXISTS financial_screener;

CREATE TABLE IF NOT EXISTS financial_screener.schema_migrations (
    version    integer PRIMARY KEY,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
