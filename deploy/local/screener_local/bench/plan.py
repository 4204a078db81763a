"""How long a plan takes: discovery, choice and order, and beside it the storing of its rows.

A day of a running system: nine tenths of the universe lack the newest session and the actions of
the one before, some lack more, a twentieth is new, and a seventh's fundamentals are due. The plain
way reads the same tables with pandas and decides the same there; it stores nothing.
"""

import statistics
import warnings
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import pairwise
from time import perf_counter

import pandas as pd
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from screener_local.bench.figures import Figure
from screener_local.bench.systems import database, say
from screener_operator.plan import GroupSpec, PlanRequest, choose_days, probe
from screener_operator.planning import Planner

SIZES = (21_817, 1_000_000)
NAMES = tuple(f"plan{what}_ms_{size}" for size in SIZES for what in ("", "_store"))
RUNS = {21_817: 11, 1_000_000: 5}
STORED = {21_817: 11, 1_000_000: 1}
"""Runs that are stored, after those that decide alone; a million assets have 3.2 million items."""
PLAIN = {21_817: 3, 1_000_000: 1}
"""Runs of the plain way, which takes a minute for a million."""
NOW = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
HISTORY_FROM = date(2024, 11, 24)
SHARES = {
    "US": 6425, "LSE": 3145, "F": 10209, "XETRA": 691, "PA": 500, "AS": 150, "BR": 140, "LS": 100,
    "MC": 239, "SW": 218,
}  # fmt: skip
"""The seed's universe by exchange."""
REQUEST = PlanRequest(
    "bench", (GroupSpec("all", tuple(SHARES)),), ("prices", "fundamentals"), HISTORY_FROM
)

ASSETS = """
INSERT INTO assets (code, exchange_id, ticker, type, currency)
SELECT 'C' || n, exchange.id, 'C' || n || '.' || exchange.code, 'Common Stock', exchange.currency
FROM (
    SELECT id, code, currency, sum(share) OVER (ORDER BY id) AS upper,
           sum(share) OVER (ORDER BY id) - share AS lower, sum(share) OVER () AS whole
    FROM exchanges JOIN unnest(%(codes)s::text[], %(shares)s::integer[]) AS wanted (listed, share)
        ON wanted.listed = code
) AS exchange
JOIN generate_series(0, %(size)s - 1) AS n
    ON n * exchange.whole / %(size)s >= exchange.lower
    AND n * exchange.whole / %(size)s < exchange.upper
"""
STATES = """
INSERT INTO asset_processing_state
    (asset_id, ticker, prices_loaded, prices_checked_to, prices_checked_from, prices_first_date,
     prices_last_date, splits_checked_to, dividends_checked_to, prices_refreshed_at,
     fundamentals_loaded, fundamentals_loaded_at, next_fundamental_refresh)
SELECT id, ticker, known, CASE WHEN known THEN date '2026-11-23' - late END,
       CASE WHEN known THEN date '2024-11-20' END, CASE WHEN known THEN date '2024-11-20' END,
       CASE WHEN known THEN date '2026-11-23' - late END,
       CASE WHEN known THEN date '2026-11-20' END, CASE WHEN known THEN date '2026-11-20' END,
       timestamptz '2026-11-01 12:00Z' + chance %% 20 * interval '1 day',
       known, CASE WHEN known THEN timestamptz '2026-11-17 12:00Z' + id %% 7 * interval '1 day' END,
       CASE WHEN known THEN date '2026-11-24' + id %% 7 END
FROM assets
CROSS JOIN LATERAL (SELECT abs(hashint4(id)) %% 100 AS chance) AS random
CROSS JOIN LATERAL (
    SELECT chance >= 5 AS known, CASE WHEN chance < 10 THEN 3 * chance ELSE 0 END AS late
) AS made
"""


def prepare(owner: Connection[TupleRow], size: int) -> None:
    """The universe with its states, sessions of three years, and an execution to plan."""
    owner.execute("TRUNCATE assets, exchange_sessions, process_executions, api_daily_quota CASCADE")
    owner.execute(
        "INSERT INTO exchange_sessions SELECT exchanges.id, day::date, day + interval '16 hours'"
        " FROM exchanges, generate_series(timestamptz '2024-01-01Z', '2026-12-01Z', '1 day') AS day"
        " WHERE kind = 'listings' AND extract(isodow FROM day AT TIME ZONE 'UTC') < 6"
    )
    # Plans do not read the rows of screens, which for a million assets take longest of all.
    owner.execute("ALTER TABLE assets DISABLE TRIGGER screener_follows_inserts")
    owner.execute(ASSETS, {"codes": list(SHARES), "shares": list(SHARES.values()), "size": size})
    owner.execute("ALTER TABLE assets ENABLE TRIGGER screener_follows_inserts")
    owner.execute(STATES, {})
    owner.execute(
        "INSERT INTO process_executions (process_name, execution_id) VALUES ('bench', 'bench')"
    )
    owner.execute("INSERT INTO api_daily_quota VALUES (%s, 100000)", [NOW.date()])
    owner.execute("VACUUM ANALYZE")


def plan_ms(owner: Connection[TupleRow], *, store: bool) -> list[float]:
    """Milliseconds of the decisions and, if they are stored, of that; what was is taken back."""
    with owner.transaction(force_rollback=True), owner.cursor() as cursor:
        times = [perf_counter()]
        planner = Planner(cursor, REQUEST, NOW)
        choices = planner.decide()
        times.append(perf_counter())
        if store:
            planner.store(choices)
            times.append(perf_counter())
    return [1000 * (end - begin) for begin, end in pairwise(times)]


def pandas_ms(owner: Connection[TupleRow]) -> float:
    """Milliseconds of the plain way."""
    began = perf_counter()
    with warnings.catch_warnings():
        # pandas wants another driver; it reads with this one alike.
        warnings.simplefilter("ignore", UserWarning)
        states = pd.read_sql(
            "SELECT state.*, asset.type, asset.listed, asset.exchange_id AS listed_on"
            " FROM asset_processing_state AS state JOIN assets AS asset ON asset.id = asset_id"
            " WHERE asset.kind = 'listing'",
            owner,
        )
        sessions = pd.read_sql("SELECT exchange_id, session FROM exchange_sessions", owner)
        wishes = pd.read_sql("SELECT * FROM api_ticker_priority", owner)
    states = states[states.listed & (states.type == "Common Stock")]
    states = states.merge(wishes, on="ticker", how="left")
    checked = {
        kind: pd.to_datetime(states[column])
        for kind, column in (
            ("prices", "prices_checked_to"),
            ("splits", "splits_checked_to"),
            ("dividends", "dividends_checked_to"),
        )
    }
    until = {"prices": pd.Timestamp(NOW.date()), "splits": pd.Timestamp("2026-11-23")}
    until["dividends"] = until["splits"]
    fundamentals = ~states.fundamentals_loaded | (
        pd.to_datetime(states.next_fundamental_refresh) <= until["prices"]
    )
    days = pd.to_datetime(sessions.session)
    queues = []
    for exchange, of_exchange in states.groupby("exchange_id"):
        known = days[sessions.exchange_id == exchange].sort_values()
        for kind, to in until.items():
            upto = known[known <= to]
            since = checked[kind][of_exchange.index]
            gap = len(upto) - pd.Series(upto.searchsorted(since, side="right"), index=since.index)
            lacking = gap[since.notna() & (gap > 0)].tolist()
            by_bulk = choose_days(Counter(lacking)).sessions
            alone = since.isna() | (gap > by_bulk)
            queues.append(of_exchange[alone].assign(kind=kind))
    due = states[fundamentals]
    probe(Counter(due.exchange_id.tolist()))
    queue = pd.concat([*queues, due.assign(kind="fundamentals")])
    queue = queue.assign(priority=queue.priority.fillna(3))
    queue.sort_values(
        ["kind", "always_process", "prices_checked_to", "priority", "asset_id"],
        na_position="first",
    )
    return 1000 * (perf_counter() - began)


def spread(values: list[float]) -> str:
    return f"{min(values):.0f} to {max(values):.0f} ms in {len(values)} runs"


def measure() -> Iterator[Figure]:
    with (
        database() as postgres,
        psycopg.connect(postgres.owner_url, autocommit=True, options="-c timezone=UTC") as owner,
    ):
        owner.execute("SET search_path TO financial_screener")
        for size in SIZES:
            prepare(owner, size)
            plan_ms(owner, store=False)
            # Apart: what a stored plan that was taken back leaves is written and vacuumed beside
            # the next.
            decided = [plan_ms(owner, store=False)[0] for _ in range(RUNS[size])]
            stored = [plan_ms(owner, store=True)[1] for _ in range(STORED[size])]
            plain = [pandas_ms(owner) for _ in range(PLAIN[size])]
            say(f"plan of {size}: {spread(decided)}; stored: {spread(stored)}")
            yield Figure(
                f"plan_ms_{size}", statistics.median(decided), "ms", statistics.median(plain)
            )
            yield Figure(f"plan_store_ms_{size}", statistics.median(stored), "ms")
