-- The assets of an exchange with a bar of its session before, which a bulk day has rows of too once it is published.
SELECT asset.code
FROM financial_screener.assets AS asset
JOIN financial_screener.stock_prices AS bar ON bar.asset_id = asset.id
WHERE asset.exchange_id = %(exchange_id)s::smallint AND asset.listed
  AND bar.date = (
      SELECT max(session) FROM financial_screener.exchange_sessions
      WHERE exchange_id = %(exchange_id)s::smallint AND session < %(session)s::date
  )
