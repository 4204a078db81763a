-- Stored bars that a judgement sets aside after all.
WITH gone AS (
    DELETE FROM financial_screener.stock_prices AS bar
    USING unnest(%(asset_ids)s::integer[], %(days)s::date[]) AS aside (asset_id, date)
    WHERE bar.asset_id = aside.asset_id AND bar.date = aside.date
      AND bar.date BETWEEN %(first)s::date AND %(last)s::date
    RETURNING bar.asset_id
)
SELECT asset_id, count(*) AS bars FROM gone GROUP BY asset_id
