-- Rows of the last twenty sessions of an exchange whose bulk days were believed, and of earlier answers for the session itself.
(
    SELECT DISTINCT ON (day.session) day.session, day.of_session, day.asked_at
    FROM financial_screener.bulk_days AS day
    WHERE day.exchange_id = %(exchange_id)s::smallint AND day.kind = 'bulk_prices' AND day.believed
      AND day.session < %(session)s::date AND day.session >= %(session)s::date - 60
    ORDER BY day.session DESC, day.asked_at DESC
    LIMIT 20
)
UNION ALL
SELECT day.session, day.of_session, day.asked_at
FROM financial_screener.bulk_days AS day
WHERE day.exchange_id = %(exchange_id)s::smallint AND day.kind = 'bulk_prices' AND day.session = %(session)s::date
