-- Rows into the table, one of its partitions, or where rows wait, as `binary.encode` makes them.
COPY {table} ({columns}) FROM STDIN (FORMAT binary)
