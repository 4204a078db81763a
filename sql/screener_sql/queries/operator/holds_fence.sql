-- Whether this session holds the fence; no row comes back at all from a lost connection.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND objsubid = 2
      AND classid = %(lock_class)s::integer::oid AND objid = 0
)
