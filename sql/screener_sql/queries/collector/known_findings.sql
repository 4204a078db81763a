-- Judgements about assets that stand, and those that people released.
SELECT finding.id, finding.asset_id, finding.rule, finding.date_from, finding.state, rule.scope
FROM financial_screener.data_findings AS finding
JOIN financial_screener.data_rules AS rule USING (rule)
WHERE finding.asset_id = ANY (%(asset_ids)s::integer[]) AND finding.state <> 'released'
