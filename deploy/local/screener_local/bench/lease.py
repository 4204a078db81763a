"""How long one lease takes, of calls and request slots in one statement, while 8 clients lease as
fast as they can from the same run, day and minute, committed to the disk.

The plain way is a transaction of three statements from the client, as a ledger is usually written:
the run's row, the day's, the minute's, each a way there and back while the rows before are locked.
"""

import asyncio
import multiprocessing
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from time import perf_counter

import psycopg

from screener_collector.store import Database, Store, connect_patiently
from screener_local.bench.figures import Figure
from screener_local.bench.systems import database, say
from screener_local.postgres import Postgres
from screener_sql.model import SliceKind

NAMES = ("lease_ms",)
CLIENTS, SECONDS, RUNS = 8, 4.0, 3
PATIENCE_S = 120.0
"""For what takes no time on a quiet machine; then the bench ends as failed."""
RUN = "bench"
LIMIT = 2**30

Client = Callable[[str, int, float], list[float]]


def lease(url: str, worker: int, until: float) -> list[float]:
    """Leases as a worker does; seconds of each."""

    async def work() -> list[float]:
        control = Database(await connect_patiently(url, "bench"))
        store = Store(control, worker, RUN, SliceKind.GROUP, "g")
        took: list[float] = []
        while perf_counter() < until:
            began = perf_counter()
            leased = await store.lease(needed=1, wanted=20, requests=1, daily_limit=LIMIT)
            took.append(perf_counter() - began)
            assert leased.outcome == "leased"
        await control.close()
        return took

    return asyncio.run(work())


def plainly(url: str, worker: int, until: float) -> list[float]:
    """The same by statements of the client; seconds of each."""
    took: list[float] = []
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT min(minute) FROM financial_screener.api_request_minutes"
        ).fetchone()
        assert found is not None
        minute = found[0]
        while perf_counter() < until:
            began = perf_counter()
            for statement in (
                "UPDATE financial_screener.execution_budgets SET calls_used = calls_used + 20"
                " WHERE execution_id = %(run)s RETURNING calls_used",
                "UPDATE financial_screener.api_daily_quota SET calls_used = calls_used + 20"
                " WHERE day = %(day)s AND calls_used + 20 <= calls_limit RETURNING day",
                "UPDATE financial_screener.api_request_minutes"
                " SET requests_used = requests_used + 1"
                " WHERE minute = %(minute)s RETURNING requests_used",
                "INSERT INTO financial_screener.api_leases (day, execution_id, worker_id, calls)"
                " VALUES (%(day)s, %(run)s, %(worker)s, 20) RETURNING id",
            ):
                row = connection.execute(
                    statement,
                    {"run": RUN, "day": minute.date(), "minute": minute, "worker": worker},
                ).fetchone()
                assert row is not None
            connection.commit()
            took.append(perf_counter() - began)
    return took


def prepare(postgres: Postgres) -> list[int]:
    """A run, its day and its minute, with room for all; the ids of its workers."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    with psycopg.connect(postgres.owner_url, autocommit=True) as owner:
        owner.execute("SET search_path TO financial_screener")
        owner.execute(
            "TRUNCATE api_leases, api_daily_quota, api_request_minutes, execution_budgets,"
            " vendor_account"
        )
        owner.execute("INSERT INTO execution_budgets (execution_id) VALUES (%s)", [RUN])
        owner.execute(
            "INSERT INTO api_daily_quota (day, calls_limit) VALUES (%s, %s)", [now, LIMIT]
        )
        # As many slots as there are leases, whatever the minute.
        owner.execute(
            "INSERT INTO vendor_account (daily_limit, requests_per_minute) VALUES (%s, %s)",
            [LIMIT, LIMIT],
        )
        owner.execute(
            "INSERT INTO api_request_minutes (minute, requests_limit) VALUES (%s, %s)", [now, LIMIT]
        )
        rows = owner.execute(
            "INSERT INTO workers (execution_id, slice, pod)"
            " SELECT %s, 'g', 'bench' FROM generate_series(1, %s) RETURNING id",
            [RUN, CLIENTS],
        ).fetchall()
    return [row[0] for row in rows]


@contextmanager
def processes() -> Iterator[Pool]:
    """A process for each client, all of them started: an interpreter takes longer than a lease."""
    context = multiprocessing.get_context("spawn")
    there = context.Barrier(CLIENTS)
    with context.Pool(CLIENTS, initializer=wait_for_all, initargs=(there,)) as pool:
        yield pool


def wait_for_all(there: Barrier) -> None:
    """Returns when every process has come."""
    there.wait(PATIENCE_S)


def at_once(pool: Pool, client: Client, url: str, workers: list[int]) -> list[float]:
    """Milliseconds of each lease of all clients. Raises TimeoutError where one does not end."""
    until = perf_counter() + SECONDS  # the clock of all processes is the machine's
    took = pool.starmap_async(client, [(url, worker, until) for worker in workers], chunksize=1)
    return [1000 * seconds for each in took.get(SECONDS + PATIENCE_S) for seconds in each]


def measure() -> Iterator[Figure]:
    medians: dict[str, list[float]] = {"lease": [], "plainly": []}
    with processes() as pool, database(durable=True) as postgres:
        url = postgres.program_urls()["collector"]
        for _ in range(RUNS):
            for client in (lease, plainly):
                took = at_once(pool, client, url, prepare(postgres))
                medians[client.__name__].append(statistics.median(took))
    for name, runs in medians.items():
        say(f"{name}: medians {', '.join(f'{run:.2f}' for run in sorted(runs))} ms")
    yield Figure(
        "lease_ms",
        statistics.median(medians["lease"]),
        "ms",
        statistics.median(medians["plainly"]),
    )
