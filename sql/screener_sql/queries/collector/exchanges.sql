-- What is known of exchanges, and whether they have assets.
SELECT exchange.id, exchange.code, exchange.calendar, exchange.time_zone, exchange.close_override,
       exchange.kind, exchange.listed_at, exchange.listed_rows, exchange.details, exchange.details_at,
       coalesce(exchange.listed_at > now() - interval '1 day', false) AS list_is_fresh,
       coalesce(exchange.listed_types, '{}') AS listed_types,
       coalesce(exchange.details_at > now() - interval '7 days', false) AS details_are_fresh,
       EXISTS (SELECT FROM financial_screener.assets WHERE assets.exchange_id = exchange.id) AS has_assets
FROM financial_screener.exchanges AS exchange
WHERE exchange.code = ANY (%(codes)s::text[])
ORDER BY exchange.id
