-- The days of which assets have rows, in a range of days, packed one after another; no row for an asset without any.
SELECT asset_id, string_agg(date_send(calculation_date), ''::bytea)
FROM financial_screener.technical_indicators
WHERE asset_id = ANY (%(asset_ids)s::integer[]) AND calculation_date BETWEEN %(first)s::date AND %(last)s::date
GROUP BY asset_id
