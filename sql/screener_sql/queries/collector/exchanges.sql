-- What is known of exchanges. Lists and details are fresh for a little less than a day and a week, so that runs of every evening do not
-- find those of the evening before fresh by a minute.
SELECT exchange.id, exchange.code, exchange.calendar, exchange.time_zone, exchange.close_override,
       exchange.kind, exchange.listed_at, exchange.listed_rows, exchange.believe_next_list, exchange.details, exchange.details_at,
       coalesce(exchange.listed_at > now() - interval '20 hours', false) AS list_is_fresh,
       coalesce(exchange.listed_types, '{}') AS listed_types,
       coalesce(exchange.details_at > now() - interval '164 hours', false) AS details_are_fresh,
       EXISTS (SELECT FROM financial_screener.assets WHERE assets.exchange_id = exchange.id) AS has_assets
FROM financial_screener.exchanges AS exchange
WHERE exchange.code = ANY (%(codes)s::text[])
ORDER BY exchange.id
