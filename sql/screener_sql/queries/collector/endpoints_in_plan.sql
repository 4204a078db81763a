-- What is known of the vendor's plan.
SELECT endpoint, in_plan FROM financial_screener.vendor_endpoints
