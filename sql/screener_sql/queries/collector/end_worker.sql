-- The worker ends in order.
UPDATE financial_screener.workers SET ended_at = now() WHERE id = %(worker_id)s::integer
