-- Whether this session still holds its worker's lock.
SELECT financial_screener.worker_is_alive(%(worker_id)s::integer)
