"""How long a page waits for the slowest of the screens in examples/screens, asked of v_screener.

The universe with made numbers and a month of indicators. The plain way answers the same screens
from the same tables without screener_rows: the newest row of each asset by DISTINCT ON.
"""

import statistics
from collections.abc import Iterator
from time import perf_counter

import psycopg
from psycopg import Connection, sql
from psycopg.rows import TupleRow

from screener_local.bench.figures import Figure
from screener_local.bench.plan import ASSETS, SHARES
from screener_local.bench.systems import database, say
from screener_local.paths import PROJECT

NAMES = ("screen_ms",)
SIZE = 21_817
DAYS = 20
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
SET name = 'Company ' || code, sector = 'Sector ' || id % 11, industry = 'Industry ' || id % 140,
    market_cap = round(exp(17 + 9 * random())), fundamentals_date = current_date - id % 7,
    shares_outstanding = round(exp(15 + 5 * random())), pe_ratio = 60 * random() - 10,
    price_book_mrq = 8 * random(), return_on_equity_ttm = 0.6 * random() - 0.2,
    return_on_assets_ttm = 0.3 * random() - 0.1, operating_margin_ttm = 0.6 * random() - 0.2,
    dividend_yield = 0.08 * random(), payout_ratio = 1.5 * random(),
    quarterly_revenue_growth_yoy = random() - 0.4, quarterly_earnings_growth_yoy = random() - 0.4
"""
RATES = """
INSERT INTO usd_rates (currency, day, usd)
SELECT currency, current_date - n, 1.1 FROM unnest(ARRAY['EUR', 'GBP', 'CHF']) AS currency,
       generate_series(0, 730) AS n
"""
SCALES = {"avg_volume_30": 1e6, "avg_volume_90": 1e6, "macd_histogram": 2.0}
"""The largest value of a column, where it is not 100."""
PLAIN_ROWS = """(
    SELECT known.*, newest.* FROM financial_screener.screener_assets AS known
    LEFT JOIN (
        SELECT DISTINCT ON (asset_id) asset_id AS of_asset, {columns}
        FROM financial_screener.technical_indicators ORDER BY asset_id, calculation_date DESC
    ) AS newest ON newest.of_asset = known.asset_id
)"""


def prepare(owner: Connection[TupleRow]) -> None:
    """The universe, its indicators of DAYS days, and `v_plain`, which is v_screener without
    its table."""
    owner.execute("SELECT setseed(0.5)")
    owner.execute(SESSIONS)
    owner.execute(ASSETS, {"codes": list(SHARES), "shares": list(SHARES.values()), "size": SIZE})
    owner.execute(FUNDAMENTALS)
    owner.execute(RATES)
    columns = [
        name
        for (name,) in owner.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'technical_indicators'::regclass"
            " AND attnum > 0 AND atttypid = 'double precision'::regtype ORDER BY attnum"
        )
    ]
    values = [
        sql.SQL("{} * random()").format(sql.Literal(SCALES.get(name, 100.0))) for name in columns
    ]
    for day in reversed(range(DAYS)):
        owner.execute(
            sql.SQL(
                "INSERT INTO technical_indicators"
                " (asset_id, calculation_date, bars_used, execution_id, {})"
                " SELECT id, current_date - %s, 600, 'bench', {} FROM assets"
            ).format(sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(values)),
            [day],
        )
    make_plain(owner)
    owner.execute("VACUUM ANALYZE")


def make_plain(owner: Connection[TupleRow]) -> None:
    row = owner.execute(
        "SELECT pg_get_viewdef('v_screener'::regclass), (SELECT string_agg(quote_ident(attname),"
        " ', ') FROM pg_attribute WHERE attrelid = 'technical_indicators'::regclass AND attnum > 0"
        " AND NOT attisdropped AND attname <> 'asset_id')"
    ).fetchone()
    assert row is not None
    definition, columns = row
    for name in ("financial_screener.screener_rows", "screener_rows"):
        if f"{name} " in definition:
            definition = definition.replace(f"{name} ", PLAIN_ROWS.format(columns=columns) + " ")
            break
    owner.execute(f"CREATE VIEW financial_screener.v_plain AS {definition}")


def screen_ms(owner: Connection[TupleRow], statement: str) -> float:
    """Milliseconds until all rows are there."""
    began = perf_counter()
    owner.execute(statement.encode()).fetchall()
    return 1000 * (perf_counter() - began)


def measure() -> Iterator[Figure]:
    with (
        database() as postgres,
        psycopg.connect(postgres.owner_url, autocommit=True, options="-c timezone=UTC") as owner,
    ):
        owner.execute("SET search_path TO financial_screener")
        prepare(owner)
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
