-- The transaction may store more rows.
TRUNCATE pg_temp.staged
