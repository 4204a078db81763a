-- Assets under new codes; whatever hangs on their ids stays.
UPDATE financial_screener.assets AS asset
SET code = renamed.code, ticker = renamed.code || '.' || exchange.code
FROM jsonb_to_recordset(%(renames)s::jsonb) AS renamed (id integer, code text), financial_screener.exchanges AS exchange
WHERE asset.id = renamed.id AND exchange.id = asset.exchange_id
