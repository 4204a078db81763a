-- The vendor said 402: nothing more is asked of it on that GMT day.
UPDATE financial_screener.api_daily_quota SET spent = true WHERE day = %(day)s::date
