-- USD for one of a currency on a day, for pairs of both; those without a rate have no row.
SELECT wanted.currency, wanted.day, found.rate
FROM unnest(%(currencies)s::text[], %(days)s::date[]) AS wanted (currency, day)
CROSS JOIN LATERAL financial_screener.usd_per(wanted.currency, wanted.day) AS found (rate)
WHERE found.rate IS NOT NULL
