-- Rows of indicators by the hundred thousand (spec.history of an IndicatorRun) go into the partitions themselves: the trigger by which screens
-- follow technical_indicators needs every row of its statement, which are kept for it and inserted one by one, at twice the cost of a row.
-- Whoever writes rows of an asset there writes a later one through the table in the same transaction.

CREATE OR REPLACE FUNCTION financial_screener.ensure_partitions(first_day date, last_day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent text;
    lower_bound date;
BEGIN
    IF first_day IS NULL OR last_day IS NULL OR last_day < first_day OR last_day > current_date + 3660 THEN
        RAISE EXCEPTION 'ensure_partitions: first_day % and last_day % must be in order and within ten years from now',
            first_day, last_day USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOREACH parent IN ARRAY ARRAY['stock_prices', 'technical_indicators'] LOOP
        FOR year IN greatest(2000, extract(year FROM first_day)::int)..extract(year FROM last_day)::int LOOP
            IF to_regclass(format('financial_screener.%I', parent || '_' || year)) IS NULL THEN
                PERFORM pg_advisory_xact_lock(hashtext('financial_screener.ensure_partitions'));
                EXECUTE format(
                    'CREATE TABLE IF NOT EXISTS financial_screener.%I PARTITION OF financial_screener.%I FOR VALUES FROM (%L) TO (%L)',
                    parent || '_' || year, parent, make_date(year, 1, 1), make_date(year + 1, 1, 1));
                IF parent = 'technical_indicators' THEN
                    EXECUTE format('GRANT INSERT ON financial_screener.%I TO screener_analyzer', parent || '_' || year);
                END IF;
            END IF;
        END LOOP;
    END LOOP;
    lower_bound := date_trunc('month', greatest(first_day, current_date - 31))::date;
    WHILE lower_bound <= last_day LOOP
        IF to_regclass(format('financial_screener.%I', 'asset_processing_details_' || to_char(lower_bound, 'YYYYMM'))) IS NULL THEN
            PERFORM pg_advisory_xact_lock(hashtext('financial_screener.ensure_partitions'));
            EXECUTE format(
                'CREATE TABLE IF NOT EXISTS financial_screener.%I PARTITION OF financial_screener.asset_processing_details FOR VALUES FROM (%L) TO (%L)',
                'asset_processing_details_' || to_char(lower_bound, 'YYYYMM'),
                lower_bound::text || ' 00:00+00', (lower_bound + interval '1 month')::date::text || ' 00:00+00');
        END IF;
        lower_bound := (lower_bound + interval '1 month')::date;
    END LOOP;
END
$$;

DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'financial_screener.technical_indicators'::regclass LOOP
        EXECUTE format('GRANT INSERT ON %s TO screener_analyzer', partition);
    END LOOP;
END
$$;
