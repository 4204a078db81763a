-- What each asset needs, for the rows of the plan; refreshing: its whole history is fetched though nothing is known to have changed. That is
-- looked up in a hash whatever Postgres believes of tables that were never analysed, as they are after a first preflight; a join would then
-- run through the queue for each asset.
CREATE TEMPORARY TABLE delta ON COMMIT DROP AS
SELECT member.asset_id, needs.exchange_id, needs.prices_since, needs.splits_since, needs.dividends_since, needs.fundamentals_due,
       needs.backing_off, needs.prices_loaded,
       member.asset_id IN (SELECT refresh.asset_id FROM queue AS refresh WHERE refresh.step = 5) AS refreshing
FROM needs
CROSS JOIN LATERAL unnest(needs.assets) AS member (asset_id)
