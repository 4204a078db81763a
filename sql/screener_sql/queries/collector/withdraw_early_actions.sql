-- The final list of a session lacks what an early look at it had: that did not happen.
UPDATE financial_screener.corporate_actions AS action
SET withdrawn_at = clock_timestamp(), confirmed_at = NULL
FROM financial_screener.assets AS asset
JOIN financial_screener.exchanges AS exchange ON exchange.id = asset.exchange_id
WHERE asset.id = action.asset_id AND asset.exchange_id = %(exchange_id)s::smallint
  AND action.ex_date = %(session)s::date AND action.kind = %(kind)s::text AND action.withdrawn_at IS NULL
  AND %(session)s::date <= financial_screener.actions_final_to(%(asked_at)s::timestamptz, exchange.actions_time)
  AND %(session)s::date > financial_screener.actions_final_to(action.first_seen_at, exchange.actions_time)
  AND NOT asset.code = ANY (%(codes)s::text[])
RETURNING action.asset_id
