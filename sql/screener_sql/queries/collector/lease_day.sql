-- Reserves calls of the present GMT day, leaving keep_calls of it; no row: it does not reach.
UPDATE financial_screener.api_daily_quota
SET calls_used = calls_used + %(calls)s::integer
WHERE day = (now() AT TIME ZONE 'UTC')::date AND (NOT spent OR %(though_spent)s::boolean)
  AND calls_used + %(calls)s::integer <= least(calls_limit, %(daily_limit)s::integer) - %(keep_calls)s::integer
RETURNING day
