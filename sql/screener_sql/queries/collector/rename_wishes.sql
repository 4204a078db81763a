-- What somebody wants of a ticker goes with its asset, unless the new ticker has wishes of its own.
UPDATE financial_screener.api_ticker_priority AS wish
SET ticker = renamed.new
FROM unnest(%(old)s::text[], %(new)s::text[]) AS renamed (old, new)
WHERE wish.ticker = renamed.old
  AND NOT EXISTS (SELECT FROM financial_screener.api_ticker_priority AS other WHERE other.ticker = renamed.new)
