-- Minutes and leases of other days are of no use to anybody; those of yesterday still count.
WITH minutes AS (
    DELETE FROM financial_screener.api_request_minutes WHERE minute < now() - interval '1 day'
)
DELETE FROM financial_screener.api_leases WHERE day < (now() AT TIME ZONE 'UTC')::date - 7
