-- What assets are that are judged, whether a calendar says when their exchange has sessions, and whether all their splits and dividends are known.
SELECT asset.id, asset.exchange_id, asset.kind = 'listing' AS has_sessions,
       state.splits_checked_to IS NOT NULL AS splits_known, state.dividends_checked_to IS NOT NULL AS dividends_known,
       exchange.calendar IS NOT NULL AS calendar_known
FROM financial_screener.assets AS asset
JOIN financial_screener.exchanges AS exchange ON exchange.id = asset.exchange_id
LEFT JOIN financial_screener.asset_processing_state AS state ON state.asset_id = asset.id
WHERE asset.id = ANY (%(asset_ids)s::integer[])
