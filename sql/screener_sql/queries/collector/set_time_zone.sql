-- The time zone of an exchange without a calendar, by the vendor's details.
UPDATE financial_screener.exchanges SET time_zone = %(time_zone)s::text WHERE id = %(exchange_id)s::smallint AND calendar IS NULL
