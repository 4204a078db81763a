-- Takes away bars that the vendor no longer has: set aside and recorded as revisions without new values; how many of each asset.
WITH wanted AS (
    SELECT * FROM unnest(%(asset_ids)s::integer[], %(days)s::date[]) AS wanted (asset_id, date)
), withdrawn AS (
    DELETE FROM financial_screener.stock_prices AS bar
    WHERE bar.asset_id = ANY (%(asset_ids)s::integer[]) AND bar.date = ANY (%(days)s::date[])
      AND EXISTS (SELECT FROM wanted WHERE wanted.asset_id = bar.asset_id AND wanted.date = bar.date)
    RETURNING bar.*
), aside AS (
    INSERT INTO financial_screener.quarantined_bars AS known (asset_id, date, rule, bar, execution_id)
    SELECT asset_id, date, 'bar_withdrawn',
           jsonb_build_object('date', date, 'open', open, 'high', high, 'low', low, 'close', close,
                              'adjusted_close', adj_close, 'volume', volume),
           %(execution_id)s::text
    FROM withdrawn
    ON CONFLICT (asset_id, date, rule) DO UPDATE
    SET bar = excluded.bar, execution_id = excluded.execution_id, quarantined_at = clock_timestamp(), released_at = NULL
), revised AS (
    INSERT INTO financial_screener.price_revision_blocks
        (asset_id, execution_id, dates, old_open, old_high, old_low, old_close, old_adj_close, old_volume)
    SELECT asset_id, %(execution_id)s::text, array_agg(date), array_agg(open), array_agg(high), array_agg(low), array_agg(close),
           array_agg(adj_close), array_agg(volume)
    FROM (SELECT * FROM withdrawn ORDER BY asset_id, date) AS bar
    GROUP BY asset_id
)
SELECT asset_id, count(*) AS withdrawn FROM withdrawn GROUP BY asset_id
