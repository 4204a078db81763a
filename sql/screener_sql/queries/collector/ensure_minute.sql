-- The row of the present minute, and the limit of requests that holds in it: 95 percent of the vendor's, the rest is for clocks that differ.
INSERT INTO financial_screener.api_request_minutes (minute, requests_limit)
SELECT date_trunc('minute', now(), 'UTC'),
       greatest(1, floor(0.95 * coalesce((SELECT requests_per_minute FROM financial_screener.vendor_account), 1000)))::integer
ON CONFLICT (minute) DO NOTHING
