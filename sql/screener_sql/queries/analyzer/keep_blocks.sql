-- Blocks of bars up to the last ones of states that this transaction has stored: the history up to there is what was read.
INSERT INTO financial_screener.bar_blocks AS known (asset_id, last_bar, bars, walked)
SELECT new.asset_id, new.last_bar, new.bars, new.walked
FROM unnest(%(asset_ids)s::integer[], %(last_bars)s::date[], %(bars)b::bytea[], %(walked)b::bytea[])
    AS new (asset_id, last_bar, bars, walked)
JOIN financial_screener.indicator_states AS state USING (asset_id, last_bar)
WHERE state.read_at = %(read_at)s::timestamptz AND state.execution_id = %(execution_id)s::text
ORDER BY new.asset_id
ON CONFLICT (asset_id) DO UPDATE SET last_bar = excluded.last_bar, bars = excluded.bars, walked = excluded.walked
