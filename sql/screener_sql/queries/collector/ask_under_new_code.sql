-- What came of assets since their codes may be another company's is asked for again under the codes that the vendor has them by now: bars,
-- and with them both lists of actions. What has left its list is wanted up to the newest published session, then no more.
UPDATE financial_screener.asset_processing_state AS state
SET prices_checked_to = least(state.prices_checked_to, asked.own_to),
    splits_checked_to = NULL,
    dividends_checked_to = NULL,
    needs_prices_reprocess = state.needs_prices_reprocess OR state.in_universe AND state.prices_loaded,
    wanted_to = CASE WHEN NOT state.in_universe THEN (
        SELECT max(published.session)
        FROM financial_screener.exchange_sessions AS published
        JOIN financial_screener.exchanges AS exchange ON exchange.id = published.exchange_id
        WHERE exchange.id = state.exchange_id AND published.closes_at + exchange.publication_delay <= now()) END
FROM unnest(%(asset_ids)s::integer[], %(days)s::date[]) AS asked (asset_id, own_to)
WHERE state.asset_id = asked.asset_id
