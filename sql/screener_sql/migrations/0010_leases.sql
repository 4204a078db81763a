-- Calls beyond the day's limit, readings of the vendor's counter, and both days of a request at midnight.

ALTER TABLE financial_screener.execution_budgets ADD COLUMN use_extra boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN financial_screener.execution_budgets.use_extra IS 'Whether the run may spend purchased calls once the day''s are spent.';
