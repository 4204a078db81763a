-- Of assets whose code another company has now: when a list last showed it as theirs, and the last session that had closed by then. To be
-- asked before the list that shows it as another's counts as read.
SELECT known.id AS asset_id, known.own_at,
       coalesce(
           (SELECT max(session.session) FROM financial_screener.exchange_sessions AS session
            WHERE session.exchange_id = known.exchange_id AND session.closes_at <= known.own_at),
           (known.own_at AT TIME ZONE 'UTC')::date - 1
       ) AS own_to
FROM (
    SELECT asset.id, asset.exchange_id, coalesce(exchange.listed_at, asset.first_listed_at) AS own_at
    FROM financial_screener.assets AS asset
    JOIN financial_screener.exchanges AS exchange ON exchange.id = asset.exchange_id
    WHERE asset.id = ANY (%(asset_ids)s::integer[])
) AS known
ORDER BY known.id
