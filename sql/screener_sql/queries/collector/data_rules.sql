-- The rules with their severities and numbers.
SELECT rule, severity, parameters, sentence FROM financial_screener.data_rules
