-- What each program may do. Nobody but the owner creates, drops or truncates anything.

GRANT SELECT ON ALL TABLES IN SCHEMA financial_screener TO screener_operator, screener_collector, screener_analyzer;
REVOKE ALL ON financial_screener.schema_migrations FROM screener_collector, screener_analyzer;

-- The operator plans and closes.
GRANT INSERT, UPDATE ON
    financial_screener.process_executions, financial_screener.slices, financial_screener.plan_fetches,
    financial_screener.plan_items, financial_screener.execution_budgets
    TO screener_operator;
GRANT INSERT ON financial_screener.asset_processing_details TO screener_operator;
GRANT UPDATE ON financial_screener.asset_processing_state TO screener_operator;

-- The collector asks the vendor and stores the answers.
GRANT INSERT, UPDATE ON
    financial_screener.exchanges, financial_screener.exchange_sessions, financial_screener.assets,
    financial_screener.stock_prices, financial_screener.corporate_actions, financial_screener.quarantined_bars,
    financial_screener.asset_processing_state, financial_screener.workers, financial_screener.plan_fetches,
    financial_screener.plan_items, financial_screener.api_daily_quota, financial_screener.api_request_minutes,
    financial_screener.api_leases, financial_screener.api_usage_log, financial_screener.vendor_account,
    financial_screener.vendor_endpoints
    TO screener_collector;
GRANT UPDATE ON financial_screener.slices, financial_screener.execution_budgets TO screener_collector;
GRANT INSERT ON financial_screener.asset_processing_details TO screener_collector;
GRANT DELETE ON financial_screener.api_request_minutes TO screener_collector;
-- First histories go into the partitions themselves (those of years have the right from ensure_partitions): for the trigger that ends the states
-- of indicators (0014) each row of the table's statement is kept, and its rows are inserted one by one, at twice the cost of a bar. Whoever
-- writes bars of an asset there writes an older one through the table in the same transaction.
GRANT INSERT ON financial_screener.stock_prices_before_2000 TO screener_collector;

-- The analyzer reads bars and stores indicators.
GRANT INSERT, UPDATE ON financial_screener.technical_indicators, financial_screener.workers TO screener_analyzer;
-- Rows of indicators by the hundred thousand (spec.history of an IndicatorRun) go into the partitions themselves (those of years have the right
-- from ensure_partitions): the trigger by which screens follow the table needs every row of its statement, which are kept for it and inserted
-- one by one, at twice the cost of a row. Whoever writes rows of an asset there writes a later one through the table in the same transaction.
GRANT INSERT ON financial_screener.technical_indicators_before_2000 TO screener_analyzer;
GRANT UPDATE ON financial_screener.slices, financial_screener.plan_items, financial_screener.asset_processing_state
    TO screener_analyzer;
GRANT INSERT ON financial_screener.asset_processing_details TO screener_analyzer;

-- COPY goes through temporary tables, and so does planning. The analyzer makes none.
DO $$
BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO screener_operator, screener_collector', current_database());
END
$$;

-- Functions for people are the owner's.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA financial_screener FROM PUBLIC;
GRANT EXECUTE ON FUNCTION financial_screener.worker_is_alive(integer) TO screener_operator, screener_collector, screener_analyzer;
GRANT EXECUTE ON FUNCTION
    financial_screener.prices_reach(integer, date),
    financial_screener.log_api_call(date, text, text, integer, integer, integer)
    TO screener_collector;
