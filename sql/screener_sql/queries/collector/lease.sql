-- Leases calls and request slots at once, outside of a transaction: see the procedure. What it returns is NULL where it is called.
CALL financial_screener.lease_calls(
    %(execution_id)s::text, %(worker_id)s::integer, %(needed)s::integer, %(wanted)s::integer, %(requests)s::integer,
    %(daily_limit)s::integer, %(for_reading)s::boolean, %(new_day)s::boolean,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
