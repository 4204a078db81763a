-- The vendor's details of an exchange, as they are.
UPDATE financial_screener.exchanges SET details = %(details)s::jsonb, details_at = now() WHERE id = %(exchange_id)s::smallint
