"""Adapter: Postgres: the worker, its slice, its claims, and the counters of the ledger.

With `closing` and `listing`, which write results, the only one of the collector that runs SQL. The
statements are in `sql/screener_sql/queries/collector/`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Self

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

from screener_collector.work import Fetch, Spending
from screener_sql import query
from screener_sql.connect import connect_async, translated
from screener_sql.errors import BadSetting, DatabaseUnreachable
from screener_sql.model import WORKER_LOCK, ErrorCode, SliceKind, SliceReason

Cursor = AsyncCursor[DictRow]

CONNECT_PATIENCE_S = 60.0
"""How long a first connection is tried for: a Postgres that restarts is back by then."""
_HEARTBEAT_TIMEOUT_S = 10.0


def jsonb(value: Any) -> Jsonb:
    """A parameter for jsonb; dates and times become ISO texts."""
    return Jsonb(value, dumps=lambda data: json.dumps(data, default=str, allow_nan=False))


async def connect_patiently(
    dsn: str, application_name: str, *, autocommit: bool = False
) -> AsyncConnection[Any]:
    """A connection, tried for CONNECT_PATIENCE_S. Raises DatabaseUnreachable."""
    loop = asyncio.get_running_loop()
    give_up, delay_s = loop.time() + CONNECT_PATIENCE_S, 0.5
    while True:
        try:
            return await connect_async(
                dsn, application_name=application_name, autocommit=autocommit
            )
        except DatabaseUnreachable:
            if loop.time() + delay_s > give_up:
                raise
        await asyncio.sleep(delay_s)
        delay_s = min(2 * delay_s, 8.0)


class Database:
    """One connection; its transactions come one after another, whoever asks."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Cursor]:
        """A transaction of its own. Raises DatabaseUnreachable when Postgres goes away."""
        async with self._turn:
            with translated():
                async with (
                    self._connection.transaction(),
                    self._connection.cursor(row_factory=dict_row) as cursor,
                ):
                    yield cursor

    async def close(self) -> None:
        """Closes the connection, and does not mind if it is gone."""
        await self._connection.close()


class CallsRefused(Exception):
    """No calls are left for a request. Not an error: what needs them is deferred."""

    def __init__(self, error_code: ErrorCode) -> None:
        super().__init__(error_code.value)
        self.error_code = error_code


class Worker:
    """A row of `workers` and the connection whose lock says that it lives."""

    def __init__(self, worker_id: int, connection: AsyncConnection[Any]) -> None:
        self.id = worker_id
        self._connection = connection

    @classmethod
    async def register(cls, dsn: str, execution_id: str, slice_name: str, pod: str) -> Self:
        """Appears in `workers` and takes the lock."""
        connection = await connect_patiently(dsn, "screener-collect lock", autocommit=True)
        with translated():
            cursor = await connection.execute(
                query("collector/register_worker"),
                {"execution_id": execution_id, "slice": slice_name, "pod": pod},
            )
            row = await cursor.fetchone()
            assert row is not None  # INSERT … RETURNING
            worker = cls(row[0], connection)
            cursor = await connection.execute(
                query("collector/lock_worker"), {"lock_class": WORKER_LOCK, "worker_id": worker.id}
            )
            row = await cursor.fetchone()
            if row is None or not row[0]:
                raise DatabaseUnreachable(f"the lock of worker {worker.id} is held by another")
        return worker

    async def watch(self, every_s: float = 2.0) -> None:
        """Returns never; raises DatabaseUnreachable as soon as the lock is known to be lost."""
        while True:
            await asyncio.sleep(every_s)
            try:
                with translated():
                    async with asyncio.timeout(_HEARTBEAT_TIMEOUT_S):
                        await self._connection.execute(query("collector/heartbeat"))
            except TimeoutError:
                raise DatabaseUnreachable("Postgres does not answer in time") from None

    async def end(self) -> None:
        """Ends in order and gives up the lock."""
        with translated():
            await self._connection.execute(query("collector/end_worker"), {"worker_id": self.id})
        await self._connection.close()

    async def abandon(self) -> None:
        """Gives up the lock without a word, as when the process were killed."""
        await self._connection.close()


class Store:
    """What a worker reads and writes about its slice, in short transactions of one connection."""

    def __init__(
        self, control: Database, worker_id: int, execution_id: str, kind: SliceKind, name: str
    ) -> None:
        self._control = control
        self.worker_id = worker_id
        self.execution_id = execution_id
        self.slice_name = name
        self._slice = {"execution_id": execution_id, "kind": kind.value, "slice": name}
        self._me = {**self._slice, "worker_id": worker_id}

    async def _run(self, name: str, **parameters: Any) -> list[DictRow]:
        async with self._control.transaction() as cursor:
            return await run(cursor, name, self._me | parameters)

    # The slice

    async def start_slice(self) -> tuple[bool, str | None]:
        """Whether the slice has ended, and its reason. Raises BadSetting without a slice."""
        rows = await self._run("start_slice")
        if not rows:
            raise BadSetting(
                f"EXECUTION_ID, SLICE: execution {self.execution_id} has no slice {self.slice_name}"
            )
        return rows[0]["finished_at"] is not None, rows[0]["reason"]

    async def finish_slice(self) -> bool:
        """Ends the slice unless a fetch of it is open; whether it has ended."""
        return bool(await self._run("finish_slice"))

    async def stop_slice(self, reason: SliceReason, message: str, *, ended: bool) -> None:
        """Says why the slice cannot go on; `ended`: with nothing more to be done for it."""
        await self._run("stop_slice", reason=reason.value, message=message, ended=ended)

    async def note(self, sentence: str) -> None:
        """A sentence for the run's message."""
        await self._run("note_slice", note=sentence)

    async def waiting(self, reason: SliceReason | None) -> None:
        """Says that the slice waits, or (None) no longer does."""
        await self._run("wait_slice", reason=reason.value if reason else None)

    # Claims

    async def claim(self, count: int) -> list[Fetch]:
        """Up to `count` open fetches of the slice, in order, now this worker's."""
        rows = await self._run("claim_fetches", count=count)
        return sorted((Fetch(**row) for row in rows), key=lambda fetch: (fetch.ordinal, fetch.id))

    async def release(self) -> None:
        """Gives back what is claimed and not done."""
        await self._run("release_fetches")

    # The ledger

    async def clock(self) -> datetime:
        """The time in Postgres, by which days and minutes are told."""
        rows = await self._run("clock")
        moment: datetime = rows[0]["clock_timestamp"]
        return moment

    async def lease(
        self, calls: int, daily_limit: int, *, though_spent: bool = False
    ) -> tuple[int, date]:
        """Reserves calls of the run and of the GMT day. Lease id and day. Raises CallsRefused.

        `though_spent`: also when the vendor said that the day is spent.
        """
        async with self._control.transaction() as cursor:
            wanted = self._me | {
                "calls": calls,
                "daily_limit": daily_limit,
                "though_spent": though_spent,
            }
            await cursor.execute(query("collector/ensure_day"), wanted)
            # Both or neither: the exception rolls back.
            budget = await run(cursor, "lease_budget", wanted)
            if not budget:
                raise CallsRefused(ErrorCode.RUN_LIMIT)
            day = await run(cursor, "lease_day", wanted | budget[0])
            if not day:
                raise CallsRefused(ErrorCode.DAILY_LIMIT)
            lease = await run(cursor, "insert_lease", wanted | day[0])
            return lease[0]["id"], day[0]["day"]

    async def return_lease(self, lease_id: int, day: date, spent: int) -> None:
        """Closes a lease of `day` and gives back what of it was not spent."""
        async with self._control.transaction() as cursor:
            # In the order in which `lease` takes them, or two workers could wait for each other.
            await run(cursor, "lock_budget", self._me)
            await run(cursor, "lock_day", {"day": day})
            await run(cursor, "return_lease", {"lease_id": lease_id, "spent": spent})

    async def take_slots(self, slots: int) -> tuple[datetime, int]:
        """Request slots of the present minute: the minute, and how many were left, maybe 0."""
        async with self._control.transaction() as cursor:
            await cursor.execute(query("collector/ensure_minute"))
            taken = await run(cursor, "take_slots", {"slots": slots})
            if taken:
                return taken[0]["minute"], taken[0]["granted"]
            now = await run(cursor, "clock", {})
            return now[0]["clock_timestamp"].replace(second=0, microsecond=0), 0

    async def mark_spent(self, day: date) -> None:
        """The vendor says that the day's calls are spent."""
        await self._run("mark_spent", day=day)

    async def set_requests_per_minute(self, limit: int) -> None:
        """The vendor's limit of requests a minute, as its answers say."""
        await self._run("set_requests_per_minute", requests_per_minute=limit)

    async def endpoints_in_plan(self) -> dict[str, bool]:
        """What is known of the vendor's plan, by endpoint."""
        rows = await self._run("endpoints_in_plan")
        return {row["endpoint"]: row["in_plan"] for row in rows}

    async def set_endpoint(self, endpoint: str, in_plan: bool) -> None:
        """Remembers what the vendor's plan includes."""
        await self._run("set_endpoint", endpoint=endpoint, in_plan=in_plan)


async def run(cursor: Cursor, name: str, parameters: Mapping[str, Any]) -> list[DictRow]:
    """Runs `queries/collector/<name>.sql`; its rows, or none where it returns none."""
    await cursor.execute(query(f"collector/{name}"), parameters)
    return await cursor.fetchall() if cursor.description is not None else []


async def record_spending(cursor: Cursor, execution_id: str, spending: Spending) -> None:
    """Records what was spent, in the transaction of what was got for it."""
    for lease_id, spent, closed in spending.leases:
        await run(cursor, "spend_lease", {"lease_id": lease_id, "spent": spent, "closed": closed})
    # In one order, as another worker of the run adds to the same rows.
    for (day, endpoint), usage in sorted(spending.usage.items(), key=lambda entry: entry[0]):
        await run(
            cursor,
            "log_usage",
            {"execution_id": execution_id, "day": day, "endpoint": endpoint, **asdict(usage)},
        )


@dataclass(frozen=True, slots=True)
class Extra:
    """What else happened that costs calls and serves no fetch: its detail row's operation."""

    operation: str
    calls: int
    at: datetime


async def insert_extras(cursor: Cursor, execution_id: str, extras: Iterable[Extra]) -> None:
    """Their detail rows."""
    await insert_details(
        cursor,
        execution_id,
        [
            {
                "operation": extra.operation,
                "state": "succeeded",
                "calls": extra.calls,
                "started_at": extra.at,
                "ended_at": extra.at,
            }
            for extra in extras
        ],
    )


async def insert_details(
    cursor: Cursor, execution_id: str, details: Iterable[Mapping[str, Any]]
) -> None:
    """Detail rows: asset_id, ticker, operation, state, counts, calls, error, times."""
    rows: Sequence[Mapping[str, Any]] = list(details)
    if rows:
        await run(cursor, "insert_details", {"execution_id": execution_id, "details": jsonb(rows)})
