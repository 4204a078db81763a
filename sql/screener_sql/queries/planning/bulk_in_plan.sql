-- When the vendor said that its plan does not include bulk days; no row: it includes them, as far as is known. A refusal counts for a
-- week, as plans change.
SELECT (checked_at AT TIME ZONE 'UTC')::date
FROM financial_screener.vendor_endpoints
WHERE endpoint = 'eod-bulk-last-day' AND NOT in_plan AND checked_at > %(now)s::timestamptz - interval '7 days'
