-- How indicators are stored and checked: rows are copied, compared with the judge's before they count, and say which bar they are of.

ALTER TABLE financial_screener.technical_indicators
    ADD COLUMN last_bar date GENERATED ALWAYS AS (calculation_date) STORED;
COMMENT ON COLUMN financial_screener.technical_indicators.last_bar IS
    'The date of the last bar used: how fresh the row is.';
COMMENT ON COLUMN financial_screener.technical_indicators.bars_used IS
    'How many bars up to it were used; an asset with fewer than an indicator needs has NULL there.';

ALTER TABLE financial_screener.slices
    ADD COLUMN verified_rows integer NOT NULL DEFAULT 0,
    ADD COLUMN deviation double precision;
COMMENT ON COLUMN financial_screener.slices.verified_rows IS
    'Rows of an IndicatorRun that were computed again by the judge before they were stored.';
COMMENT ON COLUMN financial_screener.slices.deviation IS
    'The largest deviation among them, relative to the value or to the column''s scale.';

-- Rows are copied into a temporary table first.
DO $$
BEGIN
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO screener_analyzer', current_database());
END
$$;
