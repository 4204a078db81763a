-- Takes the lock of the one operator that may act, for as long as this session lives; false while another session holds it.
SELECT pg_try_advisory_lock(%(lock_class)s::integer, 0)
