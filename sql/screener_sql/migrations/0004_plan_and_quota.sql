-- What is to be done and what it may cost: slices, fetches and items of a run; the call ledger of a GMT day.

CREATE TABLE financial_screener.workers (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id text        NOT NULL,
    slice        text        NOT NULL,
    pod          text        NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz
);
COMMENT ON TABLE financial_screener.workers IS
    'A process of a Job. While it lives one of its connections holds the advisory lock (730001, id): see worker_is_alive.';

-- A worker is alive while its session holds its lock: a killed process loses it at once, whatever it left behind.
CREATE FUNCTION financial_screener.worker_is_alive(worker integer) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 2
          AND classid = 730001 AND objid = worker::oid
          AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    )
$$;

CREATE TABLE financial_screener.slices (
    execution_id   text NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('preflight', 'group', 'indicators')),
    name           text NOT NULL,
    ordinal        integer NOT NULL DEFAULT 0,
    started_at     timestamptz,
    finished_at    timestamptz,
    reason         text,
    message        text,
    notes          text[] NOT NULL DEFAULT '{}',
    waiting_reason text,
    waiting_since  timestamptz,
    verified       boolean,
    PRIMARY KEY (execution_id, kind, name)
);
COMMENT ON COLUMN financial_screener.slices.finished_at IS 'Set by its worker when nothing of the slice is left to do, or when it cannot go on (then reason says why).';
COMMENT ON COLUMN financial_screener.slices.reason IS 'NULL while all is well; else one of TokenRefused, EndpointNotInPlan, InvalidSpec, DailyLimitReached, RunLimitReached.';
COMMENT ON COLUMN financial_screener.slices.waiting_reason IS 'VendorUnreachable while its worker waits for the vendor, since waiting_since.';
COMMENT ON COLUMN financial_screener.slices.notes IS 'Sentences for the run''s message, such as what the vendor''s plan does not include.';

CREATE TABLE financial_screener.plan_fetches (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id text     NOT NULL,
    group_name   text     NOT NULL,
    ordinal      integer  NOT NULL,
    kind         text     NOT NULL
                 CHECK (kind IN ('prices', 'fundamentals', 'bulk_dividends', 'bulk_splits', 'bulk_prices')),
    exchange_id  smallint NOT NULL REFERENCES financial_screener.exchanges,
    asset_id     integer  REFERENCES financial_screener.assets,
    session      date,
    date_from    date,
    date_to      date,
    calls        integer  NOT NULL CHECK (calls >= 0),
    state        text     NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'claimed', 'done', 'failed', 'deferred')),
    worker_id    integer  REFERENCES financial_screener.workers,
    claimed_at   timestamptz,
    finished_at  timestamptz,
    calls_used   integer  NOT NULL DEFAULT 0,
    error_code   text,
    message      text,
    CHECK ((kind IN ('prices', 'fundamentals')) = (asset_id IS NOT NULL)),
    CHECK ((kind LIKE 'bulk%') = (session IS NOT NULL))
);
CREATE INDEX plan_fetches_open_idx ON financial_screener.plan_fetches (execution_id, group_name, ordinal)
    WHERE state IN ('planned', 'claimed');
CREATE INDEX plan_fetches_execution_idx ON financial_screener.plan_fetches (execution_id, asset_id);
COMMENT ON COLUMN financial_screener.plan_fetches.calls IS 'What the vendor charges for it.';

CREATE TABLE financial_screener.plan_items (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id  text     NOT NULL,
    group_name    text     NOT NULL,
    asset_id      integer  NOT NULL REFERENCES financial_screener.assets,
    exchange_id   smallint NOT NULL REFERENCES financial_screener.exchanges,
    operation     text     NOT NULL
                  CHECK (operation IN ('prices_bulk', 'prices_incremental', 'fundamentals_bulk', 'indicators_calc')),
    way           text     CHECK (way IN ('asset', 'bulk')),
    fetch_id      bigint   REFERENCES financial_screener.plan_fetches,
    expected_to   date,
    state         text     NOT NULL DEFAULT 'planned'
                  CHECK (state IN ('planned', 'succeeded', 'failed', 'skipped', 'deferred')),
    planned       boolean  NOT NULL DEFAULT true,
    planned_calls integer  NOT NULL DEFAULT 0,
    worker_id     integer  REFERENCES financial_screener.workers,
    records_inserted integer NOT NULL DEFAULT 0,
    records_updated  integer NOT NULL DEFAULT 0,
    error_code    text,
    message       text,
    finished_at   timestamptz,
    UNIQUE (execution_id, asset_id, operation)
);
CREATE INDEX plan_items_group_idx ON financial_screener.plan_items (execution_id, group_name);
CREATE INDEX plan_items_fetch_idx ON financial_screener.plan_items (fetch_id);
COMMENT ON COLUMN financial_screener.plan_items.operation IS
    'prices_bulk: an asset''s first history; prices_incremental: what came since; fundamentals_bulk; indicators_calc.';
COMMENT ON COLUMN financial_screener.plan_items.way IS
    'asset: by its own fetch (fetch_id); bulk: by its exchange''s bulk fetches of this run, all of them.';
COMMENT ON COLUMN financial_screener.plan_items.expected_to IS 'The newest session whose bar should be there.';
COMMENT ON COLUMN financial_screener.plan_items.planned IS 'False where the plan itself ended it (nothing due, dry run, deferred at once).';

-- The ledger of a GMT day: calls_used holds everything reserved, so what nobody can account for counts as spent.
CREATE TABLE financial_screener.api_daily_quota (
    day             date PRIMARY KEY,
    calls_limit     integer NOT NULL CHECK (calls_limit >= 0),
    calls_used      integer NOT NULL DEFAULT 0 CHECK (calls_used >= 0),
    spent           boolean NOT NULL DEFAULT false,
    vendor_used     integer,
    vendor_read_at  timestamptz,
    calls_remaining integer GENERATED ALWAYS AS (CASE WHEN spent THEN 0 ELSE greatest(calls_limit - calls_used, 0) END) STORED,
    quota_exhausted boolean GENERATED ALWAYS AS (spent OR calls_used >= calls_limit) STORED
);
COMMENT ON COLUMN financial_screener.api_daily_quota.spent IS 'The vendor answered 402: nothing more is asked of it that day.';

CREATE TABLE financial_screener.api_request_minutes (
    minute         timestamptz PRIMARY KEY CHECK (minute = date_trunc('minute', minute, 'UTC')),
    requests_limit integer NOT NULL,
    requests_used  integer NOT NULL DEFAULT 0
);

CREATE TABLE financial_screener.api_leases (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day          date        NOT NULL REFERENCES financial_screener.api_daily_quota,
    execution_id text        NOT NULL,
    worker_id    integer     NOT NULL REFERENCES financial_screener.workers,
    calls        integer     NOT NULL CHECK (calls > 0),
    calls_spent  integer     NOT NULL DEFAULT 0,
    leased_at    timestamptz NOT NULL DEFAULT now(),
    closed_at    timestamptz,
    CHECK (calls_spent BETWEEN 0 AND calls)
);
CREATE INDEX api_leases_open_idx ON financial_screener.api_leases (day, worker_id) WHERE closed_at IS NULL;

CREATE TABLE financial_screener.execution_budgets (
    execution_id text PRIMARY KEY,
    max_calls    integer,
    keep_calls   integer NOT NULL DEFAULT 0,
    calls_used   integer NOT NULL DEFAULT 0
);
COMMENT ON COLUMN financial_screener.execution_budgets.calls_used IS 'Reserved by this run, what its dead workers had leased included.';

CREATE TABLE financial_screener.api_usage_log (
    day          date    NOT NULL,
    execution_id text    NOT NULL,
    endpoint     text    NOT NULL,
    requests     integer NOT NULL DEFAULT 0,
    calls        integer NOT NULL DEFAULT 0,
    errors       integer NOT NULL DEFAULT 0,
    PRIMARY KEY (day, execution_id, endpoint)
);

CREATE TABLE financial_screener.vendor_account (
    only_row            boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    daily_limit         integer NOT NULL,
    requests_per_minute integer NOT NULL DEFAULT 1000,
    read_at             timestamptz
);

CREATE TABLE financial_screener.vendor_endpoints (
    endpoint   text PRIMARY KEY,
    in_plan    boolean NOT NULL,
    checked_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE financial_screener.vendor_endpoints IS 'What the vendor''s plan was seen to include (an answer) or not (403).';

CREATE TABLE financial_screener.api_ticker_priority (
    ticker            text PRIMARY KEY,
    priority          smallint NOT NULL DEFAULT 3 CHECK (priority BETWEEN 1 AND 5),
    always_process    boolean  NOT NULL DEFAULT false,
    skip_when_limited boolean  NOT NULL DEFAULT false
);
COMMENT ON COLUMN financial_screener.api_ticker_priority.priority IS '1 is most wanted; assets without a row count as 3.';
