-- Those of the named exchanges that the database does not have.
SELECT wanted.code
FROM unnest(%(exchanges)s::text[]) AS wanted (code)
WHERE NOT EXISTS (SELECT FROM financial_screener.exchanges AS exchange WHERE exchange.code = wanted.code)
ORDER BY wanted.code
