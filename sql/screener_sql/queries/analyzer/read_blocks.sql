-- Of assets that have a block of bars that does not go beyond a day: its last day, how many bytes it is of, and what was carried before its
-- end.
SELECT asset_id, last_bar, octet_length(bars), walked
FROM financial_screener.bar_blocks
WHERE asset_id = ANY (%(asset_ids)s::integer[]) AND last_bar <= %(until)s::date
