-- The vendor says that the minute is full: no more slots of it are given out.
UPDATE financial_screener.api_request_minutes
SET requests_used = greatest(requests_used, requests_limit), next_slot = greatest(next_slot, requests_limit)
WHERE minute = %(minute)s::timestamptz
