-- Whether the vendor's plan includes bulk days, as far as is known: it counts as included until it was refused.
SELECT coalesce((SELECT in_plan FROM financial_screener.vendor_endpoints WHERE endpoint = 'eod-bulk-last-day'), true)
