-- The last bars of an asset in one piece: of 640 rows most of what Postgres does to send them is to put them together, and it is the same
-- work every day. A block lives as long as its asset's row of indicator_states, which whoever changes the history up to its last bar
-- takes away in the same transaction.
CREATE TABLE financial_screener.bar_blocks (
    asset_id integer PRIMARY KEY REFERENCES financial_screener.indicator_states ON DELETE CASCADE,
    last_bar date    NOT NULL,
    bars     bytea   NOT NULL,
    walked   bytea
);
ALTER TABLE financial_screener.bar_blocks ALTER COLUMN bars SET STORAGE EXTERNAL; -- does not get smaller by compression
COMMENT ON TABLE financial_screener.bar_blocks IS
    'Of assets with 200 bars or more: as many as a run of indicators reads, 640 at most, up to a day that is not after their state''s. No row: they are read from stock_prices.';
COMMENT ON COLUMN financial_screener.bar_blocks.last_bar IS 'Of the newest bar in it; later ones are read from stock_prices.';
COMMENT ON COLUMN financial_screener.bar_blocks.bars IS
    'Bars one after another, oldest first: date, open, high, low, close, adj_close, volume as Postgres sends them in binary; NaN for a session that is set aside.';
COMMENT ON COLUMN financial_screener.bar_blocks.walked IS
    'What the indicators that build on the bar before (averages, stops) had come to 32 bars before the last one, to go on from there; of use to the version of the analyzer that made it.';

GRANT SELECT ON financial_screener.bar_blocks TO screener_operator, screener_collector, screener_analyzer;
GRANT INSERT, UPDATE ON financial_screener.bar_blocks TO screener_analyzer;
