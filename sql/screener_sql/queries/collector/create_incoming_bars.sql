-- Where COPY puts the bars of a batch; of the session, so made once.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_bars (
    asset_id integer NOT NULL, date date NOT NULL, open double precision NOT NULL, high double precision NOT NULL,
    low double precision NOT NULL, close double precision NOT NULL, adj_close double precision NOT NULL, volume bigint NOT NULL
) ON COMMIT DELETE ROWS
