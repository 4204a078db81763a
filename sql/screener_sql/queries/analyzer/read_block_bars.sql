-- Of each asset the bars of its block but for so many bytes at its begin, which are not even read.
SELECT block.asset_id, substring(block.bars FROM wanted.begin + 1)
FROM unnest(%(asset_ids)s::integer[], %(begins)s::integer[]) AS wanted (asset_id, begin)
JOIN financial_screener.bar_blocks AS block USING (asset_id)
