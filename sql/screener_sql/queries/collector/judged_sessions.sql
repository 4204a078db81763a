-- The sessions of an exchange up to now.
SELECT session FROM financial_screener.exchange_sessions
WHERE exchange_id = %(exchange_id)s::smallint AND closes_at <= now()
ORDER BY session
