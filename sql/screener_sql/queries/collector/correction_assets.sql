-- The assets of an exchange whose bar of a session may be corrected by a bulk day, by code: not where the whole history was asked for
-- later or is to be fetched again, nor where a later action has changed what the adjusted close of the session is.
SELECT asset.code, asset.id
FROM financial_screener.assets AS asset
JOIN financial_screener.asset_processing_state AS state ON state.asset_id = asset.id
WHERE asset.exchange_id = %(exchange_id)s::smallint AND asset.kind = 'listing'
  AND %(session)s::date BETWEEN state.prices_first_date AND state.prices_last_date
  AND coalesce(state.prices_refreshed_at < %(asked_at)s::timestamptz, true)
  AND NOT state.needs_prices_reprocess
  AND NOT EXISTS (
      SELECT FROM financial_screener.corporate_actions AS action
      WHERE action.asset_id = asset.id AND action.ex_date > %(session)s::date AND action.withdrawn_at IS NULL
  )
