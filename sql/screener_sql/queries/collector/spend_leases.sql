-- What of each lease is spent, and of that, what of no end was seen; full: nothing of it is left to spend.
UPDATE financial_screener.api_leases AS lease
SET calls_spent = spending.spent,
    calls_unknown = spending.unknown,
    closed_at = CASE WHEN spending.spent = lease.calls THEN now() END
FROM unnest(%(ids)s::bigint[], %(spent)s::integer[], %(unknown)s::integer[]) AS spending (id, spent, unknown)
WHERE lease.id = spending.id AND lease.closed_at IS NULL
