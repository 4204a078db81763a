-- Adds to the queue the histories that were fetched longest ago, of assets whose history is not fetched anyway. step: 5
INSERT INTO queue (step, asset_id, exchange_id, rank)
SELECT 5, oldest.asset_id, oldest.exchange_id, row_number() OVER (ORDER BY oldest.refreshed_at NULLS FIRST, oldest.asset_id)
FROM (
    SELECT need.asset_id, need.exchange_id, need.refreshed_at
    FROM financial_screener.asset_needs(
        %(exchange_ids)s::smallint[], %(named)s::integer[], %(prices_to)s::date[], %(actions_to)s::date[],
        %(asset_types)s::text[], %(operations)s::text[], %(history_from)s::date, %(now)s::timestamptz) AS need
    WHERE need.prices_loaded AND (need.refreshed_at IS NULL OR need.refreshed_at < %(today)s::timestamptz)
      AND need.backing_off IS NOT TRUE
      AND (need.prices_since IS NULL OR need.prices_since >= (%(prices_cut)s::date[])[need.exchange_id])
    ORDER BY need.refreshed_at NULLS FIRST
    LIMIT %(count)s::integer
) AS oldest
