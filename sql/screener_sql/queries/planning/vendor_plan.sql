-- What is known of the vendor's plan since a week ago: endpoints that cost less for many assets, whether it has them, and when that was seen.
SELECT endpoint, in_plan, (checked_at AT TIME ZONE 'UTC')::date
FROM financial_screener.vendor_endpoints
WHERE endpoint IN ('eod-bulk-last-day', 'bulk-fundamentals') AND checked_at > %(now)s::timestamptz - interval '7 days'
