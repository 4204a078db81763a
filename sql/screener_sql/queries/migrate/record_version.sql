-- Records a migration, in the transaction that applies it.
INSERT INTO financial_screener.schema_migrations (version, name) VALUES (%(version)s::integer, %(name)s::text)
