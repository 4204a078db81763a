-- Held until the session ends; worker_is_alive reads it.
SELECT pg_advisory_lock(%(lock_class)s::integer, %(worker_id)s::integer)
