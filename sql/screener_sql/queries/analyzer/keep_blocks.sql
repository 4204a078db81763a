-- Blocks of bars up to the last ones of states that this transaction has stored: the history up to there is what was read. The last bytes
-- (stay) of a block that there is stay, before the bars that come with it: it is the one that was read, as it is renewed with its state.
INSERT INTO financial_screener.bar_blocks AS known (asset_id, last_bar, bars, walked)
SELECT new.asset_id, new.last_bar,
       CASE WHEN new.stay = 0 THEN new.bars ELSE substring(before.bars FROM octet_length(before.bars) - new.stay + 1) || new.bars END,
       new.walked
FROM unnest(%(asset_ids)s::integer[], %(last_bars)s::date[], %(stay)s::integer[], %(bars)b::bytea[], %(walked)b::bytea[])
    AS new (asset_id, last_bar, stay, bars, walked)
JOIN financial_screener.indicator_states AS state USING (asset_id, last_bar)
LEFT JOIN financial_screener.bar_blocks AS before ON before.asset_id = new.asset_id AND new.stay > 0
WHERE state.read_at = %(read_at)s::timestamptz AND state.execution_id = %(execution_id)s::text AND (new.stay = 0 OR before.asset_id IS NOT NULL)
ORDER BY new.asset_id
ON CONFLICT (asset_id) DO UPDATE SET last_bar = excluded.last_bar, bars = excluded.bars, walked = excluded.walked
