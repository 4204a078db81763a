-- Splits and dividends asset by asset, whether adjusted closes show them yet, and what the vendor changed of stored bars.

ALTER TABLE financial_screener.asset_processing_state
    ADD COLUMN splits_checked_to       date,
    ADD COLUMN dividends_checked_to    date,
    ADD COLUMN actions_failures        integer NOT NULL DEFAULT 0 CHECK (actions_failures >= 0),
    ADD COLUMN actions_next_attempt_at timestamptz,
    ADD COLUMN prices_refreshed_at     timestamptz;
COMMENT ON COLUMN financial_screener.asset_processing_state.splits_checked_to IS
    'The newest session whose splits were asked for when the vendor''s list of them was final; likewise dividends.';
COMMENT ON COLUMN financial_screener.asset_processing_state.prices_refreshed_at IS 'When its whole history was last asked for and stored.';

ALTER TABLE financial_screener.corporate_actions
    ADD COLUMN unadjusted_dividend double precision,
    ADD COLUMN confirmed_at        timestamptz,
    ADD COLUMN checked_sessions    integer NOT NULL DEFAULT 0,
    ADD COLUMN checked_session     date;
COMMENT ON COLUMN financial_screener.corporate_actions.unadjusted_dividend IS 'The amount as paid then, in its currency; it goes with raw closes.';
COMMENT ON COLUMN financial_screener.corporate_actions.confirmed_at IS
    'When the stored adjusted closes were seen to show it, or there was nothing to show; NULL: the history is fetched again each session.';
COMMENT ON COLUMN financial_screener.corporate_actions.checked_sessions IS 'Sessions at which a fetched history did not show it yet.';

-- One row for all bars of an asset that one answer changed; price_revisions shows them bar by bar.
CREATE TABLE financial_screener.price_revision_blocks (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asset_id      integer     NOT NULL REFERENCES financial_screener.assets,
    execution_id  text        NOT NULL,
    revised_at    timestamptz NOT NULL DEFAULT now(),
    dates         date[]      NOT NULL,
    old_open      double precision[], new_open      double precision[],
    old_high      double precision[], new_high      double precision[],
    old_low       double precision[], new_low       double precision[],
    old_close     double precision[], new_close     double precision[],
    old_adj_close double precision[], new_adj_close double precision[],
    old_volume    bigint[],           new_volume    bigint[]
);
CREATE INDEX price_revision_blocks_asset_id_idx ON financial_screener.price_revision_blocks (asset_id, revised_at);
COMMENT ON TABLE financial_screener.price_revision_blocks IS
    'Arrays along dates; a pair of columns is NULL where no bar of the block changed in it.';

CREATE VIEW financial_screener.price_revisions AS
SELECT block.asset_id, bar.date, block.revised_at, block.execution_id,
       bar.old_open, bar.new_open, bar.old_high, bar.new_high, bar.old_low, bar.new_low, bar.old_close, bar.new_close,
       bar.old_adj_close, bar.new_adj_close, bar.old_volume, bar.new_volume
FROM financial_screener.price_revision_blocks AS block
CROSS JOIN LATERAL unnest(
    block.dates, block.old_open, block.new_open, block.old_high, block.new_high, block.old_low, block.new_low,
    block.old_close, block.new_close, block.old_adj_close, block.new_adj_close, block.old_volume, block.new_volume
) AS bar (date, old_open, new_open, old_high, new_high, old_low, new_low, old_close, new_close,
          old_adj_close, new_adj_close, old_volume, new_volume);
COMMENT ON VIEW financial_screener.price_revisions IS
    'What the vendor changed of stored bars; NULL pairs: unchanged in the whole answer. New values NULL in all: the bar was withdrawn.';

-- What the vendor answered for a bulk day, each time that it was asked.
CREATE TABLE financial_screener.bulk_days (
    exchange_id  smallint    NOT NULL REFERENCES financial_screener.exchanges,
    session      date        NOT NULL,
    kind         text        NOT NULL CHECK (kind IN ('bulk_prices', 'bulk_splits', 'bulk_dividends')),
    asked_at     timestamptz NOT NULL,
    rows         integer     NOT NULL,
    of_session   integer     NOT NULL,
    unchanged    integer     NOT NULL DEFAULT 0,
    believed     boolean     NOT NULL,
    reason       text,
    execution_id text        NOT NULL,
    PRIMARY KEY (exchange_id, session, kind, asked_at)
);
COMMENT ON COLUMN financial_screener.bulk_days.of_session IS 'Rows whose date is the session asked for.';
COMMENT ON COLUMN financial_screener.bulk_days.unchanged IS 'Of these, rows with the same prices and volume as the session before.';

GRANT SELECT ON financial_screener.price_revision_blocks, financial_screener.price_revisions, financial_screener.bulk_days
    TO screener_operator, screener_collector, screener_analyzer;
GRANT INSERT ON financial_screener.price_revision_blocks, financial_screener.bulk_days TO screener_collector;
GRANT DELETE ON financial_screener.stock_prices TO screener_collector;
