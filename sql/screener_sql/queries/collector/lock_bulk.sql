-- One transaction at a time closes bulk fetches of a run and exchange, so that one of them sees that it closes the last.
SELECT pg_advisory_xact_lock(hashtextextended('bulk ' || %(execution_id)s::text, %(exchange_id)s::bigint))
