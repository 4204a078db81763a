-- Every bar of assets that is set aside has a judgement, and a judgement of rows, or of a code given away, without such a bar any more is
-- released.
WITH bare AS (
    SELECT bar.asset_id, bar.date, bar.rule FROM financial_screener.quarantined_bars AS bar
    WHERE bar.asset_id = ANY (%(asset_ids)s::integer[]) AND bar.released_at IS NULL AND bar.finding_id IS NULL
), made AS (
    INSERT INTO financial_screener.data_findings AS known (asset_id, date_from, date_to, rule, severity, message, execution_id)
    SELECT bare.asset_id, bare.date, bare.date, bare.rule, rule.severity, rule.sentence, %(execution_id)s::text
    FROM bare JOIN financial_screener.data_rules AS rule USING (rule)
    ORDER BY bare.asset_id, bare.rule, bare.date
    ON CONFLICT (asset_id, exchange_id, rule, date_from) DO UPDATE
    SET state = 'open', execution_id = excluded.execution_id, changed_at = now()
    RETURNING known.id, known.asset_id, known.rule, known.date_from
), linked AS (
    UPDATE financial_screener.quarantined_bars AS bar SET finding_id = made.id
    FROM made
    WHERE bar.asset_id = made.asset_id AND bar.rule = made.rule AND bar.date IS NOT DISTINCT FROM made.date_from
), told AS (
    SELECT finding.id,
           CASE WHEN finding.state = 'accepted' THEN finding.state
                WHEN bool_and(bar.released_at IS NOT NULL) THEN 'released'
                WHEN finding.state = 'released' THEN 'open'
                WHEN bool_or(bar.confirmed_at >= finding.changed_at) THEN 'confirmed'
                ELSE finding.state END AS state
    FROM financial_screener.quarantined_bars AS bar
    JOIN financial_screener.data_findings AS finding ON finding.id = bar.finding_id
    JOIN financial_screener.data_rules AS rule ON rule.rule = finding.rule AND rule.scope IN ('row', 'batch')
    WHERE bar.asset_id = ANY (%(asset_ids)s::integer[])
    GROUP BY finding.id
)
UPDATE financial_screener.data_findings AS finding
SET state = told.state, execution_id = %(execution_id)s::text, changed_at = now()
FROM told
WHERE finding.id = told.id AND finding.state <> told.state
