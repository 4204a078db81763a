-- What the columns that add up have come to, where the state that it was computed from, or begun for it, is still there: the history up
-- to that is what was read. A writer that holds no lock has changed it if its bars count as newer.
UPDATE financial_screener.indicator_states AS known
SET last_bar = new.last_bar, obv = nullif(new.obv, 'NaN'), adi = nullif(new.adi, 'NaN'), vpt = nullif(new.vpt, 'NaN'),
    nvi = nullif(new.nvi, 'NaN'), first_close = nullif(new.first_close, 'NaN'), read_at = %(read_at)s::timestamptz,
    execution_id = %(execution_id)s::text
FROM unnest(%(asset_ids)s::integer[], %(last_bars)s::date[], %(since)s::timestamptz[], %(obv)s::float8[], %(adi)s::float8[],
            %(vpt)s::float8[], %(nvi)s::float8[], %(first_close)s::float8[])
    AS new (asset_id, last_bar, since, obv, adi, vpt, nvi, first_close)
JOIN financial_screener.asset_processing_state AS asset USING (asset_id)
WHERE known.asset_id = new.asset_id AND known.read_at = new.since
  AND (asset.prices_changed_at IS NULL OR asset.prices_changed_at <= %(read_at)s::timestamptz)
