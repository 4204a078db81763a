-- Closed days by the vendor's details.
INSERT INTO financial_screener.exchange_closed_days (exchange_id, day, name)
SELECT %(exchange_id)s::smallint, closed.day, closed.name
FROM unnest(%(days)s::date[], %(names)s::text[]) AS closed (day, name)
ON CONFLICT (exchange_id, day) DO UPDATE SET name = excluded.name WHERE exchange_closed_days.name IS DISTINCT FROM excluded.name
