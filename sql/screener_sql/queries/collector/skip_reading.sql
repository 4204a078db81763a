-- The vendor's counter could not be read: it is tried again after as many calls as if it had been.
UPDATE financial_screener.api_daily_quota SET leased_since_reading = 0, reader_id = NULL, reader_since = NULL
WHERE reader_id = %(worker_id)s::integer
