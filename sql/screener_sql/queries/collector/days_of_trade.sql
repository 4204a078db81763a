-- Those of some days on which an exchange traded, by its stored bars.
SELECT wanted.day
FROM unnest(%(days)s::date[]) AS wanted (day)
WHERE EXISTS (
    SELECT FROM financial_screener.assets AS asset
    JOIN financial_screener.stock_prices AS bar ON bar.asset_id = asset.id AND bar.date = wanted.day
    WHERE asset.exchange_id = %(exchange_id)s::smallint AND bar.volume > 0
)
