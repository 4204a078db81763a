-- What each lease of the day had spent, and whether its worker may still spend; read before the vendor's counter is.
SELECT id, calls_spent, closed_at IS NULL AND financial_screener.worker_is_alive(worker_id) AS may_spend
FROM financial_screener.api_leases
WHERE day = (now() AT TIME ZONE 'UTC')::date
