-- Takes up to that many request slots of the present minute; no row: none is left.
WITH room AS (
    SELECT minute, least(%(slots)s::integer, requests_limit - requests_used) AS granted
    FROM financial_screener.api_request_minutes
    WHERE minute = date_trunc('minute', now(), 'UTC') AND requests_used < requests_limit
    FOR UPDATE
)
UPDATE financial_screener.api_request_minutes AS taken
SET requests_used = requests_used + room.granted
FROM room WHERE taken.minute = room.minute
RETURNING taken.minute, room.granted
