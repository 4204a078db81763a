-- A later answer no longer shows them.
WITH released AS (
    UPDATE financial_screener.data_findings AS known
    SET state = 'released', execution_id = %(execution_id)s::text, changed_at = now()
    WHERE known.id = ANY (%(finding_ids)s::bigint[])
    RETURNING known.id
)
UPDATE financial_screener.quarantined_bars AS bar SET released_at = clock_timestamp()
FROM released WHERE bar.finding_id = released.id AND bar.released_at IS NULL
