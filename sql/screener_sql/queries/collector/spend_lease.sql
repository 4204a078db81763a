-- What of a lease is spent; closed: nothing of it is left to spend.
UPDATE financial_screener.api_leases
SET calls_spent = %(spent)s::integer, closed_at = CASE WHEN %(closed)s::boolean THEN coalesce(closed_at, now()) END
WHERE id = %(lease_id)s::bigint AND closed_at IS NULL
