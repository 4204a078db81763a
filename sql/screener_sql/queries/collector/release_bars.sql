-- Good bars came in for days whose bars had been set aside.
UPDATE financial_screener.quarantined_bars AS known
SET released_at = clock_timestamp()
FROM unnest(%(asset_ids)s::integer[], %(days)s::date[]) AS good (asset_id, date)
WHERE known.asset_id = good.asset_id AND known.date = good.date AND known.released_at IS NULL
