-- The fetched histories of these assets do not show an action yet: they are fetched again when the vendor has published the session
-- after the one that was asked for, or on the next GMT day where none is known.
UPDATE financial_screener.asset_processing_state AS state
SET needs_prices_reprocess = true,
    prices_next_attempt_at = coalesce(
        (SELECT min(following.closes_at) + exchange.publication_delay
         FROM financial_screener.exchange_sessions AS following
         WHERE following.exchange_id = exchange.id AND following.session > asked.session),
        date_trunc('day', now(), 'UTC') + interval '1 day')
FROM jsonb_to_recordset(%(waiting)s::jsonb) AS asked (asset_id integer, session date)
JOIN financial_screener.assets AS asset ON asset.id = asked.asset_id
JOIN financial_screener.exchanges AS exchange ON exchange.id = asset.exchange_id
WHERE state.asset_id = asked.asset_id
