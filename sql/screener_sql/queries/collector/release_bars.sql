-- A good bar came in for a day whose bar had been set aside.
UPDATE financial_screener.quarantined_bars AS known
SET released_at = now()
FROM incoming_bars AS incoming
WHERE known.asset_id = incoming.asset_id AND known.date = incoming.date AND known.released_at IS NULL
