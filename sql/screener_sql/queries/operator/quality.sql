-- What a run found of the data: in all (rule NULL), and by rule.
SELECT rule, severity, bars_checked, findings, quarantined, flagged FROM financial_screener.quality_report(%(execution_id)s::text)
