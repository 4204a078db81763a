"""How long a page waits for the slowest of the screens in examples/screens, asked of v_screener,
and what it costs that its rows are kept.

The universe with made numbers and two weeks of indicators, written in transactions of the sizes of
the programs'. The plain way answers the same screens from the same tables without screener_rows:
the newest row of each asset by DISTINCT ON; and stores a day's indicators without its triggers.
"""

import re
import statistics
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from time import perf_counter

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from screener_local.bench.figures import Figure
from screener_local.bench.plan import ASSETS, SHARES
from screener_local.bench.systems import database, say
from screener_local.paths import PROJECT

NAMES = ("screen_ms", "screen_store_s")
SIZE = 21_817
DAYS = 12
PAGE, CHUNK = 500, 2_000
"""Assets whose fundamentals, and whose indicators, are written at once."""
RUNS, PLAIN_RUNS = 21, 3
SCREENS = PROJECT / "examples" / "screens"

SESSIONS = """
INSERT INTO exchange_sessions
SELECT id, day, day + time '16:00' AT TIME ZONE 'UTC'
FROM exchanges, generate_series(current_date - 400, current_date + 250, interval '1 day') AS of,
     LATERAL (SELECT of::date AS day) AS days
WHERE kind = 'listings'
"""
FUNDAMENTALS = """
UPDATE assets
SET name = 'Company ' || code, sector = 'Sector ' || id %% 11, industry = 'Industry ' || id %% 140,
    market_cap = round(exp(17 + 9 * random())), fundamentals_date = current_date - id %% 7,
    shares_outstanding = round(exp(15 + 5 * random())), pe_ratio = 60 * random() - 10,
    price_book_mrq = 8 * random(), return_on_equity_ttm = 0.6 * random() - 0.2,
    return_on_assets_ttm = 0.3 * random() - 0.1, operating_margin_ttm = 0.6 * random() - 0.2,
    dividend_yield = 0.08 * random(), payout_ratio = 1.5 * random(),
    quarterly_revenue_growth_yoy = random() - 0.4, quarterly_earnings_growth_yoy = random() - 0.4
WHERE id BETWEEN %(first)s AND %(last)s
"""
RATES = """
INSERT INTO usd_rates (currency, day, usd)
SELECT currency, current_date - n, 1.1 FROM unnest(ARRAY['EUR', 'GBP', 'CHF']) AS currency,
       generate_series(0, 730) AS n
"""
MADE = {
    "macd_histogram": "2 * random() - 1",
    "slope": "random() - 0.5",
    "avg_volume_30": "exp(8 + 8 * random())",
    "avg_volume_90": "exp(8 + 8 * random())",
    "traded_value_30": "exp(9 + 9 * random())",
    "relative_volume": "3 * random()",
    "week_52_high_distance": "-60 * random()",
    "drawdown": "-60 * random()",
    "silent_bars_30": "greatest(floor(40 * random() - 30), 0)",
    "unchanged_bars": "floor(6 * random() ^ 4)",
    **dict.fromkeys(
        ("return_1m", "return_3m", "return_6m", "return_12m", "return_ytd"), "150 * random() - 60"
    ),
    **dict.fromkeys(
        (
            "golden_cross_bars",
            "death_cross_bars",
            "macd_rise_bars",
            "macd_fall_bars",
            "rsi_rise_bars",
            "rsi_fall_bars",
        ),
        "nullif(least(floor(60 * random()), 21), 21)",
    ),
}
"""What a column is drawn from, where it is not 0 to 100."""
PLAIN_ROWS = """(
    SELECT known.*, newest.*, traded_value_30
        * financial_screener.usd_rate(major_currency, calculation_date) AS traded_value_30_usd
    FROM financial_screener.screener_assets AS known
    LEFT JOIN (
        SELECT DISTINCT ON (asset_id) asset_id AS of_asset, {columns}
        FROM financial_screener.technical_indicators ORDER BY asset_id, calculation_date DESC
    ) AS newest ON newest.of_asset = known.asset_id
    -- Once a query: without it some screens sort the history again for each exchange.
    OFFSET 0
)"""


STAGED = """
CREATE TEMP TABLE staged AS SELECT id AS asset_id, 600 AS bars_used, 'bench' AS execution_id, {}
FROM assets
"""
STORE = """
INSERT INTO technical_indicators (asset_id, calculation_date, bars_used, execution_id, {columns})
SELECT asset_id, %(day)s, bars_used, execution_id, {columns} FROM staged
WHERE asset_id BETWEEN %(first)s AND %(last)s
ON CONFLICT (asset_id, calculation_date) DO UPDATE
SET bars_used = excluded.bars_used, {assignments}
"""


def parts(owner: Connection[TupleRow], size: int) -> list[dict[str, object]]:
    """The first and the last id of every so many assets."""
    row = owner.execute("SELECT min(id), max(id) FROM assets").fetchone()
    assert row is not None
    return [{"first": n, "last": n + size - 1} for n in range(row[0], row[1] + 1, size)]


def prepare(owner: Connection[TupleRow]) -> tuple[list[float], list[float]]:
    """The universe, its indicators of DAYS days, and `v_plain`, which is v_screener without
    screener_rows; screens name no column of screener_more.

    The seconds in which days' rows were stored: with the triggers, and without.
    """
    owner.execute("SELECT setseed(0.5)")
    owner.execute(SESSIONS)
    owner.execute(ASSETS, {"codes": list(SHARES), "shares": list(SHARES.values()), "size": SIZE})
    owner.execute(RATES)
    columns = [
        name
        for (name,) in owner.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'technical_indicators'::regclass"
            " AND attnum > 0 AND atttypid = 'double precision'::regtype ORDER BY attnum"
        )
    ]
    owner.execute(
        STAGED.format(", ".join(f"{MADE.get(n, '100 * random()')} AS {n}" for n in columns))
    )
    owner.execute("CREATE INDEX ON staged (asset_id)")
    owner.execute("ANALYZE staged")
    store = STORE.format(
        columns=", ".join(columns), assignments=", ".join(f"{n} = excluded.{n}" for n in columns)
    )
    today = datetime.now(UTC).date()
    store_day(owner, store, today - timedelta(DAYS))
    for part in parts(owner, PAGE):
        owner.execute(FUNDAMENTALS, part)
    owner.execute("VACUUM ANALYZE")
    followed: list[float] = []
    alone: list[float] = []
    # The newest day, which screens read, is followed.
    for ago in reversed(range(DAYS)):
        if ago % 2 == 0:
            followed.append(store_day(owner, store, today - timedelta(ago)))
        else:
            owner.execute("ALTER TABLE technical_indicators DISABLE TRIGGER USER")
            alone.append(store_day(owner, store, today - timedelta(ago)))
            owner.execute("ALTER TABLE technical_indicators ENABLE TRIGGER USER")
    make_plain(owner)
    owner.execute("VACUUM ANALYZE")
    return followed, alone


def store_day(owner: Connection[TupleRow], store: str, day: date) -> float:
    """Seconds in which the rows of a day were stored, in chunks as the analyzer does."""
    began = perf_counter()
    for part in parts(owner, CHUNK):
        owner.execute(store.encode(), {**part, "day": day})
    return perf_counter() - began


def make_plain(owner: Connection[TupleRow]) -> None:
    row = owner.execute(
        "SELECT pg_get_viewdef('v_screener'::regclass), (SELECT string_agg(quote_ident(attname),"
        " ', ') FROM pg_attribute WHERE attrelid = 'technical_indicators'::regclass AND attnum > 0"
        " AND NOT attisdropped AND attname <> 'asset_id')"
    ).fetchone()
    assert row is not None
    definition, columns = row
    # PLAIN_ROWS have the columns of screener_facts too.
    definition, of_facts = re.subn(
        r"LEFT JOIN (?:\w+\.)?screener_facts facts ON \(\(facts\.asset_id = [^)]+\)\)",
        "",
        definition,
    )
    definition, of_rows = re.subn(
        r"(?:\w+\.)?screener_rows ", PLAIN_ROWS.format(columns=columns) + " ", definition
    )
    assert (of_facts, of_rows) == (1, 1), definition
    definition = definition.replace("facts.", '"row".')
    owner.execute(f"CREATE VIEW financial_screener.v_plain AS {definition}")


def screen_ms(owner: Connection[TupleRow], statement: str) -> float:
    """Milliseconds until all rows are there."""
    began = perf_counter()
    owner.execute(statement.encode()).fetchall()
    return 1000 * (perf_counter() - began)


def measure() -> Iterator[Figure]:
    with (
        database(durable=True) as postgres,
        psycopg.connect(postgres.owner_url, autocommit=True, options="-c timezone=UTC") as owner,
    ):
        owner.execute("SET search_path TO financial_screener")
        followed, alone = prepare(owner)
        say(
            f"a day's rows stored in {min(followed):.2f} to {max(followed):.2f} s, without triggers"
            f" in {min(alone):.2f} to {max(alone):.2f} s, {len(alone)} days of each"
        )
        yield Figure("screen_store_s", statistics.median(followed), "s", statistics.median(alone))
        slowest, plain = ("", 0.0), 0.0
        for file in sorted(SCREENS.glob("*.sql")):
            screen = file.read_text()
            runs = [screen_ms(owner, screen) for _ in range(RUNS)]
            other = screen.replace("financial_screener.v_screener", "financial_screener.v_plain")
            plain_runs = [screen_ms(owner, other) for _ in range(PLAIN_RUNS)]
            say(
                f"{file.stem}: {min(runs):.1f} to {max(runs):.1f} ms in {RUNS} runs, median"
                f" {statistics.median(runs):.1f}; plain {statistics.median(plain_runs):.0f}"
            )
            if statistics.median(runs) > slowest[1]:
                slowest, plain = (file.stem, statistics.median(runs)), statistics.median(plain_runs)
        say(f"the slowest: {slowest[0]}")
        yield Figure("screen_ms", slowest[1], "ms", plain)
