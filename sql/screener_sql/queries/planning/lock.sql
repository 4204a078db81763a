-- Waits until no other run is planned; held until the transaction ends.
SELECT pg_advisory_xact_lock(%(lock_class)s::integer, 0)
