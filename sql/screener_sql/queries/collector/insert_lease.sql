-- Who holds the calls just reserved.
INSERT INTO financial_screener.api_leases (day, execution_id, worker_id, calls)
VALUES (%(day)s::date, %(execution_id)s::text, %(worker_id)s::integer, %(calls)s::integer)
RETURNING id
