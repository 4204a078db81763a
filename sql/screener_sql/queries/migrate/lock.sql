-- Waits until no other migrator works on this database; held until the session ends.
SELECT pg_advisory_lock(%(lock_class)s::integer, 0)
