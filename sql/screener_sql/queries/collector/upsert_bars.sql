-- Stores the incoming bars that are new or otherwise than stored, old and new values as one revision an asset; for assets of which a whole history came in also the stored days that it lacks.
-- LATERAL with OFFSET 0 reads an asset's span by the primary key of the partitions that it touches, whatever the planner believes of the table's size.
WITH whole AS (
    SELECT * FROM unnest(%(whole)s::integer[], %(whole_first)s::date[], %(whole_last)s::date[]) AS whole (asset_id, first, last)
), span AS (
    SELECT asset_id, min(first) AS first, max(last) AS last
    FROM (SELECT asset_id, date AS first, date AS last FROM incoming_bars UNION ALL SELECT asset_id, first, last FROM whole) AS each
    GROUP BY asset_id
), compared AS MATERIALIZED (
    SELECT coalesce(incoming.asset_id, stored.asset_id) AS asset_id, coalesce(incoming.date, stored.date) AS date,
           incoming.open, incoming.high, incoming.low, incoming.close, incoming.adj_close, incoming.volume,
           stored.open AS old_open, stored.high AS old_high, stored.low AS old_low, stored.close AS old_close,
           stored.adj_close AS old_adj_close, stored.volume AS old_volume,
           incoming.date IS NULL AS is_lacking, stored.date IS NULL AS is_new
    FROM incoming_bars AS incoming
    FULL JOIN (
        SELECT bar.*
        FROM span
        CROSS JOIN LATERAL (
            SELECT * FROM financial_screener.stock_prices AS bar
            WHERE bar.asset_id = span.asset_id AND bar.date BETWEEN span.first AND span.last
            OFFSET 0
        ) AS bar
    ) AS stored ON stored.asset_id = incoming.asset_id AND stored.date = incoming.date
    WHERE (incoming.open, incoming.high, incoming.low, incoming.close, incoming.adj_close, incoming.volume)
          IS DISTINCT FROM (stored.open, stored.high, stored.low, stored.close, stored.adj_close, stored.volume)
), upserted AS (
    INSERT INTO financial_screener.stock_prices (asset_id, date, open, high, low, close, adj_close, volume)
    SELECT asset_id, date, open, high, low, close, adj_close, volume FROM compared WHERE NOT is_lacking ORDER BY asset_id, date
    ON CONFLICT (asset_id, date) DO UPDATE
    SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        adj_close = excluded.adj_close, volume = excluded.volume
), revised AS (
    INSERT INTO financial_screener.price_revision_blocks
        (asset_id, execution_id, dates, old_open, new_open, old_high, new_high, old_low, new_low, old_close, new_close,
         old_adj_close, new_adj_close, old_volume, new_volume)
    SELECT asset_id, %(execution_id)s::text, array_agg(date),
           CASE WHEN bool_or(old_open <> open) THEN array_agg(old_open) END,
           CASE WHEN bool_or(old_open <> open) THEN array_agg(open) END,
           CASE WHEN bool_or(old_high <> high) THEN array_agg(old_high) END,
           CASE WHEN bool_or(old_high <> high) THEN array_agg(high) END,
           CASE WHEN bool_or(old_low <> low) THEN array_agg(old_low) END,
           CASE WHEN bool_or(old_low <> low) THEN array_agg(low) END,
           CASE WHEN bool_or(old_close <> close) THEN array_agg(old_close) END,
           CASE WHEN bool_or(old_close <> close) THEN array_agg(close) END,
           CASE WHEN bool_or(old_adj_close <> adj_close) THEN array_agg(old_adj_close) END,
           CASE WHEN bool_or(old_adj_close <> adj_close) THEN array_agg(adj_close) END,
           CASE WHEN bool_or(old_volume <> volume) THEN array_agg(old_volume) END,
           CASE WHEN bool_or(old_volume <> volume) THEN array_agg(volume) END
    FROM (SELECT * FROM compared WHERE NOT (is_new OR is_lacking) ORDER BY asset_id, date) AS changed
    GROUP BY asset_id
)
SELECT bar.asset_id,
       count(*) FILTER (WHERE bar.is_new) AS inserted,
       count(*) FILTER (WHERE NOT (bar.is_new OR bar.is_lacking)) AS updated,
       array_agg(bar.date) FILTER (WHERE bar.is_lacking AND bar.date BETWEEN whole.first AND whole.last) AS lacking
FROM compared AS bar
LEFT JOIN whole ON whole.asset_id = bar.asset_id
GROUP BY bar.asset_id
