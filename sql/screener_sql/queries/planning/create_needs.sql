-- Where discovery keeps what it found: assets that are alike in all that choice and order go by make one row. checked_to: up to when their
-- bars are known; fundamentals_on: when those that are due were loaded last. Packing the lists of assets would cost more than it spares.
CREATE TEMPORARY TABLE needs (
    exchange_id smallint, prices_since date, splits_since date, dividends_since date, checked_to date, fundamentals_due boolean,
    fundamentals_on date, loaded bigint, refreshed bigint, assets integer[]
) ON COMMIT DROP;
ALTER TABLE needs ALTER assets SET STORAGE EXTERNAL
