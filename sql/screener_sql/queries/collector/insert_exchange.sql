-- An exchange that a run asks for and the vendor lists.
INSERT INTO financial_screener.exchanges (code, name, mic, calendar, time_zone, currency, country)
VALUES (%(code)s::text, %(name)s::text, %(mic)s::text, %(calendar)s::text, %(time_zone)s::text, %(currency)s::text, %(country)s::text)
ON CONFLICT (code) DO NOTHING
