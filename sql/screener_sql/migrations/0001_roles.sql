-- One NOLOGIN role per program. Logins belong to the deployment: CREATE ROLE … LOGIN IN ROLE screener_collector.
-- Roles are shared by all databases of a server, so another database may have made them already, even at this moment.
DO $$
DECLARE
    program text;
BEGIN
    FOREACH program IN ARRAY ARRAY['screener_operator', 'screener_collector', 'screener_analyzer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = program) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', program);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- made by a migration of another database meanwhile
            END;
        END IF;
    END LOOP;
    -- The seed's CURRENT_DATE must be the quota day, which is a GMT day.
    EXECUTE format('ALTER DATABASE %I SET timezone TO %L', current_database(), 'UTC');
    EXECUTE format('ALTER DATABASE %I SET search_path TO financial_screener, public', current_database());
END
$$;

GRANT USAGE ON SCHEMA financial_screener TO screener_operator, screener_collector, screener_analyzer;
