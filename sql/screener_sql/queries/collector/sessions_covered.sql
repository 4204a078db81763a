-- The first and last session that an exchange has rows for.
SELECT min(session) AS first, max(session) AS last FROM financial_screener.exchange_sessions WHERE exchange_id = %(exchange_id)s::smallint
