-- Takes the lock that says the worker lives; false when somebody else holds it.
SELECT pg_try_advisory_lock(%(lock_class)s::integer, %(worker_id)s::integer)
