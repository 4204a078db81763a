-- What a row of indicators says besides their values.

ALTER TABLE financial_screener.technical_indicators
    ADD COLUMN last_bar date GENERATED ALWAYS AS (calculation_date) STORED;
COMMENT ON COLUMN financial_screener.technical_indicators.last_bar IS
    'The date of the last bar used: how fresh the row is.';
COMMENT ON COLUMN financial_screener.technical_indicators.bars_used IS
    'How many bars up to it were used; an asset with fewer than an indicator needs has NULL there.';
