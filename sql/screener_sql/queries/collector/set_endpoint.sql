-- The vendor's plan was seen to include an endpoint, or not.
INSERT INTO financial_screener.vendor_endpoints (endpoint, in_plan)
VALUES (%(endpoint)s::text, %(in_plan)s::boolean)
ON CONFLICT (endpoint) DO UPDATE SET in_plan = excluded.in_plan, checked_at = now()
