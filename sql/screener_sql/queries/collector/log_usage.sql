-- Adds to what the run has asked of an endpoint on a day.
SELECT financial_screener.log_api_call(
    %(day)s::date, %(execution_id)s::text, %(endpoint)s::text, %(requests)s::integer, %(calls)s::integer, %(errors)s::integer)
