-- Days of which a rule of series has set a bar of assets aside.
SELECT bar.asset_id, bar.date FROM financial_screener.quarantined_bars AS bar
JOIN financial_screener.data_rules AS rule ON rule.rule = bar.rule AND rule.scope = 'series'
WHERE bar.asset_id = ANY (%(asset_ids)s::integer[]) AND bar.released_at IS NULL
