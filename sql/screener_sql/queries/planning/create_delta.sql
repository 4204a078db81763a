-- What each asset needs, for the rows of the plan; refreshing: its whole history is fetched though nothing is known to have changed. That is
-- looked up in a hash whatever Postgres believes of tables that were never analysed, as they are after a first preflight; a join would then
-- run through the queue for each asset.
CREATE TEMPORARY TABLE delta ON COMMIT DROP AS
SELECT need.asset_id, need.exchange_id, need.prices_since, need.splits_since, need.dividends_since, need.fundamentals_due,
       need.backing_off, need.prices_loaded, need.fetch_from,
       need.asset_id IN (SELECT refresh.asset_id FROM queue AS refresh WHERE refresh.step = 5) AS refreshing
FROM financial_screener.asset_needs(
    %(exchange_ids)s::smallint[], %(named)s::integer[], %(prices_to)s::date[], %(actions_to)s::date[],
    %(asset_types)s::text[], %(operations)s::text[], %(history_from)s::date, %(now)s::timestamptz) AS need
