-- Lists of an exchange's splits or dividends came in: each asset's are known up to the newest session of this run before which none is
-- missing. A list counts only when it was asked for after it was final.
WITH asked AS (
    SELECT request.session,
           request.state = 'done' AND EXISTS (
               SELECT FROM financial_screener.bulk_days AS day
               WHERE day.exchange_id = request.exchange_id AND day.session = request.session AND day.kind = request.kind
                 AND day.execution_id = request.execution_id AND day.believed
                 AND day.session <= financial_screener.actions_final_to(day.asked_at, exchange.actions_time)
           ) AS final
    FROM financial_screener.plan_fetches AS request
    JOIN financial_screener.exchanges AS exchange ON exchange.id = request.exchange_id
    WHERE request.execution_id = %(execution_id)s::text AND request.asset_id IS NULL
      AND request.exchange_id = %(exchange_id)s::smallint AND request.kind = %(kind)s::text
), place AS (
    SELECT DISTINCT CASE WHEN %(kind)s::text = 'bulk_splits' THEN state.splits_checked_to ELSE state.dividends_checked_to END AS checked_to
    FROM financial_screener.asset_processing_state AS state
    JOIN financial_screener.assets AS asset ON asset.id = state.asset_id
    WHERE asset.exchange_id = %(exchange_id)s::smallint AND asset.kind = 'listing'
), reach AS (
    SELECT place.checked_to, max(asked.session) AS session
    FROM place
    JOIN asked ON asked.final AND asked.session > place.checked_to
    WHERE NOT EXISTS (
              SELECT FROM asked AS missing
              WHERE NOT missing.final AND missing.session > place.checked_to AND missing.session < asked.session
          )
      AND NOT EXISTS (
              SELECT FROM financial_screener.exchange_sessions AS between_them
              WHERE between_them.exchange_id = %(exchange_id)s::smallint
                AND between_them.session > place.checked_to AND between_them.session < asked.session
                AND NOT EXISTS (SELECT FROM asked AS read WHERE read.session = between_them.session)
          )
    GROUP BY place.checked_to
)
UPDATE financial_screener.asset_processing_state AS state
SET splits_checked_to = CASE WHEN %(kind)s::text = 'bulk_splits' THEN reach.session ELSE state.splits_checked_to END,
    dividends_checked_to = CASE WHEN %(kind)s::text = 'bulk_dividends' THEN reach.session ELSE state.dividends_checked_to END
FROM reach, financial_screener.assets AS asset
WHERE asset.id = state.asset_id AND asset.exchange_id = %(exchange_id)s::smallint AND asset.kind = 'listing'
  AND CASE WHEN %(kind)s::text = 'bulk_splits' THEN state.splits_checked_to ELSE state.dividends_checked_to END = reach.checked_to
