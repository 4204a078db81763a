-- Splits and dividends asset by asset, whether adjusted closes show them yet, and what the vendor changed of stored bars.

COMMENT ON COLUMN financial_screener.asset_processing_state.splits_checked_to IS
    'The newest session whose splits were asked for when the vendor''s list of them was final; likewise dividends.';
COMMENT ON COLUMN financial_screener.asset_processing_state.prices_refreshed_at IS 'When its whole history was last asked for and stored.';

ALTER TABLE financial_screener.corporate_actions
    ADD COLUMN unadjusted_dividend double precision,
    ADD COLUMN confirmed_at        timestamptz,
    ADD COLUMN checked_sessions    integer NOT NULL DEFAULT 0,
    ADD COLUMN checked_session     date,
    ADD COLUMN withdrawn_at        timestamptz;
CREATE INDEX corporate_actions_open_idx ON financial_screener.corporate_actions (asset_id)
    WHERE confirmed_at IS NULL AND withdrawn_at IS NULL;
COMMENT ON COLUMN financial_screener.corporate_actions.unadjusted_dividend IS 'The amount as paid then, in its currency; it goes with raw closes.';
COMMENT ON COLUMN financial_screener.corporate_actions.confirmed_at IS
    'When the stored adjusted closes were seen to show it, or there was nothing to show; NULL: the history is fetched again each session.';
COMMENT ON COLUMN financial_screener.corporate_actions.checked_sessions IS
    'Sessions at which a fetched history did not show it; after five it is a finding, and its asset is not fetched again for it.';
COMMENT ON COLUMN financial_screener.corporate_actions.withdrawn_at IS 'When a later list of the vendor lacked it: it did not happen.';

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

-- The newest day whose splits and dividends are final in lists that are asked for at a moment.
CREATE FUNCTION financial_screener.actions_final_to(asked_at timestamptz, actions_time time) RETURNS date
LANGUAGE sql IMMUTABLE AS $$
    SELECT ((asked_at AT TIME ZONE 'UTC') - actions_time)::date - 1
$$;

-- What a newer text of statements says, and beside it what it lacks of an older one: periods by their dates, or (in lists, which are
-- objects with the keys "0", "1", …, newest first) by the dates in their entries.
CREATE FUNCTION financial_screener.lengthened(older jsonb, newer jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF newer IS NULL OR newer IN ('null', '""', '[]', '{}') THEN
        RETURN older;
    ELSIF older IS NULL OR jsonb_typeof(older) <> 'object' OR jsonb_typeof(newer) <> 'object' THEN
        RETURN newer;
    ELSIF NOT EXISTS (SELECT FROM jsonb_object_keys(older || newer) AS key WHERE key !~ '^[0-9]+$') THEN
        RETURN (
            SELECT jsonb_object_agg((place - 1)::text, entry)
            FROM (
                SELECT entry, row_number() OVER (ORDER BY of_day DESC) AS place
                FROM (
                    SELECT DISTINCT ON (of_day) entry, of_day
                    FROM (
                        SELECT value AS entry, 1 AS rank FROM jsonb_each(newer)
                        UNION ALL
                        SELECT value, 2 FROM jsonb_each(older)
                    ) AS entries
                    CROSS JOIN LATERAL (SELECT coalesce(entry ->> 'dateFormatted', entry ->> 'date', entry::text) AS of_day) AS named
                    ORDER BY of_day, rank
                ) AS latest
            ) AS placed
        );
    END IF;
    RETURN (
        SELECT jsonb_object_agg(key, financial_screener.lengthened(o.value, n.value))
        FROM jsonb_each(older) AS o (key, value)
        FULL JOIN jsonb_each(newer) AS n (key, value) USING (key)
    );
END
$$;

-- component: all, fundamentals, prices (its splits and dividends too) or indicators. Returns whether there is such a ticker (AAPL.US).
CREATE OR REPLACE FUNCTION financial_screener.reset_ticker_for_reprocessing(p_ticker text, p_component text DEFAULT 'all')
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    prices boolean := p_component IN ('all', 'prices');
BEGIN
    IF p_component NOT IN ('all', 'fundamentals', 'prices', 'indicators') THEN
        RAISE EXCEPTION 'component: % is not one of all, fundamentals, prices, indicators', p_component
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE financial_screener.asset_processing_state
    SET needs_fundamentals_reprocess = needs_fundamentals_reprocess OR p_component IN ('all', 'fundamentals'),
        needs_prices_reprocess = needs_prices_reprocess OR prices,
        needs_indicators_reprocess = needs_indicators_reprocess OR p_component IN ('all', 'indicators'),
        splits_checked_to = CASE WHEN NOT prices THEN splits_checked_to END,
        dividends_checked_to = CASE WHEN NOT prices THEN dividends_checked_to END,
        prices_next_attempt_at = NULL,
        actions_next_attempt_at = NULL,
        fundamentals_next_attempt_at = NULL,
        prices_failures = 0,
        actions_failures = 0,
        fundamentals_failures = 0,
        indicators_failures = 0,
        last_error_at = NULL,
        last_error_code = NULL,
        last_error_message = NULL
    WHERE ticker = p_ticker;
    RETURN FOUND;
END
$$;

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
REVOKE EXECUTE ON FUNCTION
    financial_screener.actions_final_to(timestamptz, time),
    financial_screener.lengthened(jsonb, jsonb)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION financial_screener.actions_final_to(timestamptz, time) TO screener_operator, screener_collector;
GRANT EXECUTE ON FUNCTION financial_screener.lengthened(jsonb, jsonb) TO screener_collector;
