-- Minutes of other days are of no use to anybody.
DELETE FROM financial_screener.api_request_minutes WHERE minute < now() - interval '1 day'
