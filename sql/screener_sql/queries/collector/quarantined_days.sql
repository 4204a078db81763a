-- The days of assets whose bars are set aside.
SELECT DISTINCT asset_id, date
FROM financial_screener.quarantined_bars
WHERE asset_id = ANY (%(asset_ids)s::integer[]) AND date IS NOT NULL AND released_at IS NULL
