-- What changed in a symbol list; an asset that is new has its id by its code.
INSERT INTO financial_screener.asset_events (asset_id, exchange_id, event, old, new, execution_id)
SELECT coalesce(happened.asset_id, asset.id), %(exchange_id)s::smallint, happened.event, happened.old, happened.new,
       %(execution_id)s::text
FROM jsonb_to_recordset(%(events)s::jsonb) AS happened (asset_id integer, code text, event text, old jsonb, new jsonb)
LEFT JOIN financial_screener.assets AS asset
    ON asset.code = happened.code AND asset.exchange_id = %(exchange_id)s::smallint
