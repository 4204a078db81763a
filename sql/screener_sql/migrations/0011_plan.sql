-- What a plan may hold beyond prices and fundamentals: actions, pages of fundamentals, reference series, corrections and refreshes.

ALTER TABLE financial_screener.plan_fetches
    DROP CONSTRAINT plan_fetches_kind_check,
    DROP CONSTRAINT plan_fetches_check,
    DROP CONSTRAINT plan_fetches_check1,
    ADD CONSTRAINT plan_fetches_kind_check CHECK (kind IN (
        'prices', 'splits', 'dividends', 'fundamentals', 'bulk_prices', 'bulk_splits', 'bulk_dividends', 'bulk_fundamentals')),
    ADD CONSTRAINT plan_fetches_asset_check CHECK ((kind NOT LIKE 'bulk%') = (asset_id IS NOT NULL)),
    ADD CONSTRAINT plan_fetches_session_check CHECK ((kind LIKE 'bulk%' AND kind <> 'bulk_fundamentals') = (session IS NOT NULL)),
    ADD COLUMN purpose text NOT NULL DEFAULT 'due' CHECK (purpose IN ('due', 'reference', 'correction', 'refresh')),
    ADD COLUMN symbols text[],
    ADD COLUMN page_offset integer,
    ADD CONSTRAINT plan_fetches_page_check CHECK ((kind = 'bulk_fundamentals') = (symbols IS NOT NULL OR page_offset IS NOT NULL));
COMMENT ON COLUMN financial_screener.plan_fetches.purpose IS
    'due: its items are; reference: an index or a rate, no item; correction: a session again, for its final volumes, no item;
     refresh: a history again though nothing is known to have changed.';
COMMENT ON COLUMN financial_screener.plan_fetches.symbols IS 'Codes of a page of fundamentals; NULL with page_offset: the next 500 of the exchange.';

ALTER TABLE financial_screener.plan_items
    DROP CONSTRAINT plan_items_operation_check,
    ADD CONSTRAINT plan_items_operation_check CHECK (operation IN (
        'prices_bulk', 'prices_incremental', 'splits', 'dividends', 'fundamentals_bulk', 'indicators_calc')),
    ADD COLUMN due_on date;
COMMENT ON COLUMN financial_screener.plan_items.due_on IS 'Of a deferred item: the GMT day on which it should come.';
