-- How many assets of an exchange count as listed, and how many of them a list lacks.
SELECT count(*) AS listed, count(*) FILTER (WHERE NOT code = ANY (%(codes)s::text[])) AS missing
FROM financial_screener.assets
WHERE exchange_id = %(exchange_id)s::smallint AND listed
