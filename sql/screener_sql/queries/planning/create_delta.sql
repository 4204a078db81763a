-- What discovery found, for the rest of the planning transaction; gap: sessions that are missing, NULL where the whole history is.
CREATE TEMPORARY TABLE delta (
    group_name       text NOT NULL,
    group_ordinal    integer NOT NULL,
    asset_id         integer PRIMARY KEY,
    exchange_id      smallint NOT NULL,
    ticker           text NOT NULL,
    expected_to      date,
    fetch_from       date NOT NULL,
    prices_loaded    boolean NOT NULL,
    prices_due       boolean NOT NULL,
    gap              integer,
    fundamentals_due boolean NOT NULL,
    backing_off      boolean NOT NULL,
    unwanted         integer NOT NULL,
    checked_to       date,
    fundamentals_at  timestamptz
) ON COMMIT DROP
