-- The migrations that this database has.
SELECT version FROM financial_screener.schema_migrations
