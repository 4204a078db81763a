-- Takes the next open fetches of the slice, those of dead workers included. The worker's own are left alone without a look at the locks.
-- Bars of bulk days that are due are asked for when the exchange's lists of actions have been, whatever came of those: an asset with a
-- new action then goes by its own request, which brings its whole history.
UPDATE financial_screener.plan_fetches AS request
SET state = 'claimed', worker_id = %(worker_id)s::integer, claimed_at = now()
FROM (
    SELECT id
    FROM financial_screener.plan_fetches AS open
    WHERE execution_id = %(execution_id)s::text AND group_name = %(slice)s::text
      AND (state = 'planned'
           OR state = 'claimed' AND worker_id <> %(worker_id)s::integer AND NOT financial_screener.worker_is_alive(worker_id))
      AND (%(below)s::integer IS NULL OR calls < %(below)s::integer)
      AND (kind <> 'bulk_prices' OR purpose <> 'due'
           OR NOT EXISTS (
               SELECT FROM financial_screener.plan_fetches AS actions
               WHERE actions.execution_id = open.execution_id AND actions.asset_id IS NULL AND actions.exchange_id = open.exchange_id
                 AND actions.kind IN ('bulk_dividends', 'bulk_splits') AND actions.state IN ('planned', 'claimed')
           ))
    ORDER BY ordinal, id
    LIMIT %(count)s::integer
    FOR UPDATE SKIP LOCKED
) AS next, financial_screener.exchanges AS exchange
WHERE request.id = next.id AND exchange.id = request.exchange_id
RETURNING request.id, request.ordinal, request.kind, request.exchange_id, exchange.code AS exchange, request.asset_id,
          (SELECT code FROM financial_screener.assets WHERE assets.id = request.asset_id) AS code,
          request.session, request.date_from, request.date_to, request.calls, request.purpose, request.symbols, request.page_offset
