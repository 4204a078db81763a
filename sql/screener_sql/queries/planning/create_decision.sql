-- Settings until the transaction ends: compiling costs more than it brings here, and sorts of a million assets fit into this memory. Discovery
-- does not sort: its few kinds of assets are counted in a hash, where Postgres expects as many as there are assets and would sort them all.
SET LOCAL jit = off;
SET LOCAL work_mem = '64MB';
SET LOCAL enable_sort = off;
-- insert_items has, for each asset, up to five rows made of its needs and its exchange's choice. Postgres would keep those of each combination,
-- and forget all of them with each asset, which clears a hash as large as there are assets: at a million that ran for hours.
SET LOCAL enable_memoize = off;
-- Where a decision is kept. needs: what discovery found; assets that are alike in all that choice and order go by make one row. checked_to: up
-- to when their bars are known; fundamentals_on: when those that are due were loaded last. ordered: the queue, as numbers that order.sql makes,
-- in their order; exchange_id: of those on pages of fundamentals. A row for each asset would cost more than deciding does, and so would packing
-- the lists.
CREATE TEMPORARY TABLE needs (
    exchange_id smallint, prices_since date, splits_since date, dividends_since date, checked_to date, fundamentals_due boolean,
    fundamentals_on date, backing_off boolean, prices_loaded boolean, refreshed bigint, assets integer[]
) ON COMMIT DROP;
ALTER TABLE needs ALTER assets SET STORAGE EXTERNAL;
CREATE TEMPORARY TABLE ordered (step smallint, exchange_id smallint, numbers bigint[]) ON COMMIT DROP;
ALTER TABLE ordered ALTER numbers SET STORAGE EXTERNAL
