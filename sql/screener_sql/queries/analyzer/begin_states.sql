-- All bars of these assets were read, to carry on from the last: who changes them from now on takes the row away.
INSERT INTO financial_screener.indicator_states AS known (asset_id, last_bar, read_at)
SELECT begun.asset_id, begun.last_bar, %(read_at)s::timestamptz
FROM unnest(%(asset_ids)s::integer[], %(last_bars)s::date[]) AS begun (asset_id, last_bar)
ON CONFLICT (asset_id) DO UPDATE
SET last_bar = excluded.last_bar, obv = NULL, adi = NULL, vpt = NULL, nvi = NULL, first_close = NULL, read_at = excluded.read_at,
    execution_id = NULL
