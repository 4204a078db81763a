"""How fast the collector stores bars: first histories, from parsed JSON to the commit.

In it: the rules of rows and of series, the lock on the states, partitions, keys, the commit to the
disk. Not in it: the vendor, JSON, items and details. The plain way is an upsert a bar by
executemany, an asset a transaction, into the same table; it is measured on a fiftieth of the bars,
and as a rate needs no scaling.
"""

import asyncio
import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from time import perf_counter
from typing import Any

import numpy as np
import psycopg

from screener_collector.bars import Bars, sort_out
from screener_collector.group import BACKLOG, BATCH
from screener_collector.rules.model import DEFAULTS, SeriesContext
from screener_collector.rules.series import judge_series
from screener_collector.store import Database, connect_patiently, run
from screener_collector.storing import store_bars
from screener_local.bench.figures import Figure
from screener_local.bench.systems import database, say
from screener_local.postgres import Postgres

NAMES = ("store_bars_per_s",)
ASSETS, BARS_EACH = 10_000, 500
RUNS = 3
SAMPLE = 50
"""One in so many assets goes the plain way."""
FIRST, LAST = date(2024, 1, 1), date(2025, 12, 31)
SESSIONS = np.busday_offset(np.datetime64(FIRST), np.arange(2 * BARS_EACH), roll="forward")
CONTEXT = SeriesContext(sessions=SESSIONS)
SERIES = 40
"""Different series, which the assets share."""


def series(number: int) -> list[dict[str, Any]]:
    """The rows of a history as JSON gives them."""
    chance = np.random.default_rng(number)
    close = np.round(50 * np.exp(np.cumsum(chance.normal(0, 0.02, BARS_EACH))), 4)
    high, low = np.round(close * 1.01, 4), np.round(close * 0.99, 4)
    volume = chance.integers(1, 10**7, BARS_EACH)
    columns = (SESSIONS[:BARS_EACH].astype(str), close, high, low, close, close, volume)
    names = ("date", "open", "high", "low", "close", "adjusted_close", "volume")
    values = zip(*(column.tolist() for column in columns), strict=True)
    return [dict(zip(names, row, strict=True)) for row in values]


def prepare(postgres: Postgres) -> list[int]:
    """Assets with states, no bars, and what was written before on the disk; the assets' ids."""
    with psycopg.connect(postgres.owner_url, autocommit=True) as owner:
        owner.execute("SET search_path TO financial_screener")
        owner.execute("TRUNCATE stock_prices")
        owner.execute(
            "INSERT INTO assets (code, exchange_id, ticker)"
            " SELECT 'B' || n, id, 'B' || n || '.US' FROM generate_series(1, %s) AS n, exchanges"
            " WHERE exchanges.code = 'US' ON CONFLICT DO NOTHING",
            [ASSETS],
        )
        owner.execute(
            "INSERT INTO asset_processing_state (asset_id, ticker) SELECT id, ticker FROM assets"
            " ON CONFLICT DO NOTHING"
        )
        rows = owner.execute("SELECT id FROM assets ORDER BY id").fetchall()
    with psycopg.connect(postgres.administrator_url, autocommit=True) as administrator:
        administrator.execute("CHECKPOINT")
    return [row[0] for row in rows]


async def store(url: str, asset_ids: Sequence[int], rows: Sequence[Any]) -> float:
    """Seconds to store all as a group's worker does where answers come faster than they are stored:
    they are read until BACKLOG wait, and what waits is closed together, one batch at a time."""
    database = Database(await connect_patiently(url, "bench"))
    began = perf_counter()
    waiting: dict[int, Bars] = {}
    closing: asyncio.Task[None] | None = None
    for asset_id in asset_ids:
        waiting[asset_id] = sort_out(rows[asset_id % SERIES], FIRST, LAST, LAST).bars
        await asyncio.sleep(0)
        if closing is not None and (closing.done() or len(waiting) >= BACKLOG):
            await closing
            closing = None
        if closing is None and len(waiting) >= BATCH:
            closing, waiting = asyncio.create_task(close(database, waiting)), {}
    if closing is not None:
        await closing
    if waiting:
        await close(database, waiting)
    seconds = perf_counter() - began
    await database.close()
    return seconds


async def close(database: Database, incoming: Mapping[int, Bars]) -> None:
    """Judges and stores a batch."""
    async with database.transaction() as cursor:
        await run(cursor, "lock_states", {"asset_ids": list(incoming), "exchange_ids": []})
        for bars in incoming.values():
            judge_series(bars, CONTEXT, DEFAULTS)
        await store_bars(cursor, "bench", incoming)


def plainly(url: str, asset_ids: Sequence[int], rows: Sequence[Any]) -> float:
    """Seconds for an executemany an asset."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        began = perf_counter()
        for asset_id in asset_ids:
            cursor.executemany(
                "INSERT INTO financial_screener.stock_prices"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (asset_id, date) DO UPDATE SET open = excluded.open,"
                " high = excluded.high, low = excluded.low, close = excluded.close,"
                " adj_close = excluded.adj_close, volume = excluded.volume",
                [(asset_id, *row.values()) for row in rows[asset_id % SERIES]],
            )
            connection.commit()
        return perf_counter() - began


def listed(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:.0f}" for rate in sorted(rates))


def measure() -> Iterator[Figure]:
    rows = [series(number) for number in range(SERIES)]
    with database(durable=True) as postgres:
        url = postgres.program_urls()["collector"]
        rates, plain = [], []
        for _ in range(RUNS):
            asset_ids = prepare(postgres)
            rates.append(ASSETS * BARS_EACH / asyncio.run(store(url, asset_ids, rows)))
            sample = prepare(postgres)[::SAMPLE]
            plain.append(len(sample) * BARS_EACH / plainly(url, sample, rows))
    say(f"store_bars_per_s: runs {listed(rates)}; the plain way on one asset in {SAMPLE}:")
    say(f"{listed(plain)} bars/s")
    yield Figure(
        "store_bars_per_s",
        statistics.median(rates),
        "bars/s",
        statistics.median(plain),
        more_is_better=True,
    )
