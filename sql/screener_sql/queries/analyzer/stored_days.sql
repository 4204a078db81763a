-- The days of which assets have rows, in a range of days, packed one after another; no row for an asset without any. Asset by asset, by the
-- key: while a history is stored, statistics say nothing yet of a partition that grows, and whole ones would be read.
SELECT wanted.asset_id, string_agg(date_send(stored.calculation_date), ''::bytea)
FROM unnest(%(asset_ids)s::integer[]) AS wanted (asset_id)
CROSS JOIN LATERAL (
    SELECT calculation_date
    FROM financial_screener.technical_indicators
    WHERE asset_id = wanted.asset_id AND calculation_date BETWEEN %(first)s::date AND %(last)s::date
    OFFSET 0
) AS stored
GROUP BY wanted.asset_id
