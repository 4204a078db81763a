"""Adapter: Postgres: the worker, its slice, its claims, and the counters of the ledger.

With `closing` and `listing`, which write results, the only one of the collector that runs SQL. The
statements are in `sql/screener_sql/queries/collector/`.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, Self

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

from screener_collector.statement import Statement
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
        self._lease = Statement(connection, "collector/lease")

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

    async def lease(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        """The row of `lease`, which commits itself: one way there and back."""
        async with self._turn:
            with translated():
                return await self._lease.row(parameters)

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
        # The same one, to look whether something has come without reading it.
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        self._beating = False

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
                self._beating = True
                with translated():
                    async with asyncio.timeout(_HEARTBEAT_TIMEOUT_S):
                        await self._connection.execute(query("collector/heartbeat"))
            except TimeoutError:
                raise DatabaseUnreachable("Postgres does not answer in time") from None
            finally:
                self._beating = False

    def check(self) -> None:
        """Raises DatabaseUnreachable where Postgres has ended the connection; asks nothing, and so
        takes no time.

        For a process that was frozen: others have done its work meanwhile, and what it has in its
        memory must not be asked for again.
        """
        try:
            said = self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        # But for notices and settings it says nothing unasked unless it ends the connection.
        if said in (b"", b"E") or not (self._beating or said in (b"N", b"S")):
            raise DatabaseUnreachable("Postgres has ended the connection")

    async def end(self) -> None:
        """Ends in order and gives up the lock."""
        with translated():
            await self._connection.execute(query("collector/end_worker"), {"worker_id": self.id})
        await self.abandon()

    async def abandon(self) -> None:
        """Gives up the lock without a word, as when the process were killed."""
        self._socket.close()
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
        """Ends the slice unless a fetch of it is open; whether it has ended.

        What a group's run got is judged against other sources as it ends: both or neither.
        """
        async with self._control.transaction() as cursor:
            ended = await run(cursor, "finish_slice", self._me)
            if ended and ended[0]["just_now"] and self._slice["kind"] == SliceKind.GROUP:
                await run(cursor, "judge_across", self._me)
            return bool(ended)

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

    async def claim(self, count: int, *, below: int | None = None) -> list[Fetch]:
        """Up to `count` open fetches of the slice, in order, now this worker's.

        `below`: only those of fewer calls.
        """
        rows = await self._run("claim_fetches", count=count, below=below)
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
        self,
        *,
        needed: int,
        wanted: int,
        requests: int,
        daily_limit: int,
        for_reading: bool = False,
        new_day: bool = False,
    ) -> "Leased":
        """Reserves `needed` to `wanted` calls and up to `requests` slots, in one statement."""
        row = await self._control.lease(
            {
                "execution_id": self.execution_id,
                "worker_id": self.worker_id,
                "needed": needed,
                "wanted": wanted,
                "requests": requests,
                "daily_limit": daily_limit,
                "for_reading": for_reading,
                "new_day": new_day,
            }
        )
        return Leased._make(row)

    async def return_leases(
        self, days: Sequence[date], leases: Sequence[tuple[int, int, int]]
    ) -> None:
        """Closes leases (id, spent, unknown) of `days`, and gives back what was not spent."""
        async with self._control.transaction() as cursor:
            # In the order in which `lease` takes them, or two workers could wait for each other.
            await run(cursor, "lock_budget", self._me)
            await run(cursor, "lock_days", {"days": list(days)})
            await run(cursor, "return_leases", _columns(leases))

    async def held_by_others(self, *, of_run: bool) -> tuple[date, int]:
        """The present GMT day, and its calls that other living workers, of the run or of all, hold
        and have not spent; none where the vendor says that the day is spent."""
        rows = await self._run("held_by_others", of_run=of_run)
        return rows[0]["day"], rows[0]["calls"]

    async def mark_spent(self, day: date) -> None:
        """The vendor says that the day's calls are spent."""
        await self._run("mark_spent", day=day)

    async def fill_minute(self, minute: datetime) -> None:
        """The vendor says that the minute's requests are spent."""
        await self._run("fill_minute", minute=minute)

    async def set_requests_per_minute(self, limit: int) -> None:
        """The vendor's limit of requests a minute, as its answers say."""
        await self._run("set_requests_per_minute", requests_per_minute=limit)

    async def set_clock_skew(self, skew: timedelta) -> None:
        """How far the vendor's clock is ahead of Postgres'."""
        await self._run("set_clock_skew", clock_skew=skew)

    async def before_reading(self) -> "BeforeReading":
        """The ledger as it is, to be taken before the vendor's counter is asked for."""
        rows = await self._run("before_reading")
        row = rows[0]
        return BeforeReading(
            row["day"],
            row["sent_at"],
            row["newest"],
            row["leased_since_reading"] or 0,
            {int(lease_id): calls for lease_id, calls in row["finished"].items()},
        )

    async def reconcile(self, reading: "Reading") -> int | None:
        """Sets the ledger by a reading; calls of others it shows, None where it came too late."""
        async with self._control.transaction() as cursor:
            return await reconcile(cursor, reading)

    async def skip_reading(self) -> None:
        """The counter could not be read."""
        await self._run("skip_reading")

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


class Leased(NamedTuple):
    """What `lease_calls` returns, in its order: see the procedure. Times are aware; `calls` may be
    0."""

    outcome: str
    lease_id: int | None
    day: date
    also_day: date | None
    valid_until: datetime
    calls: int
    minute: datetime | None
    first_slot: int
    slots: int
    minute_slots: int
    requests_per_minute: int
    clock_skew: timedelta
    told_at: datetime
    read_counter: bool


@dataclass(frozen=True, slots=True)
class BeforeReading:
    """The ledger of a GMT day before the vendor's counter was asked for."""

    day: date
    sent_at: datetime
    newest: int
    """Id of the newest lease."""
    leased_since_reading: int
    finished: Mapping[int, int]
    """Calls that are known to be finished, of each lease that is not finished altogether."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the vendor's counter showed of a day, and what the ledger was before it."""

    before: BeforeReading
    vendor_used: int
    vendor_limit: int
    extra_limit: int
    daily_limit: int
    """Our own cap."""


async def reconcile(cursor: Cursor, reading: Reading) -> int | None:
    """Sets the day's ledger by a reading; calls of others it shows, None where it came too late."""
    figures = {
        "vendor_used": reading.vendor_used,
        "vendor_limit": reading.vendor_limit,
        "extra_limit": reading.extra_limit,
        "daily_limit": reading.daily_limit,
        "day": reading.before.day,
        "sent_at": reading.before.sent_at,
        "newest": reading.before.newest,
        "leased_since_reading": reading.before.leased_since_reading,
        "finished": jsonb({str(key): calls for key, calls in reading.before.finished.items()}),
    }
    await run(cursor, "set_account", figures)
    await run(cursor, "lock_days", {"days": [reading.before.day]})
    rows = await run(cursor, "reconcile_day", figures)
    return rows[0]["others_used"] if rows else None


def _columns(leases: Sequence[tuple[int, int, int]]) -> dict[str, list[int]]:
    return {
        "ids": [lease_id for lease_id, _, _ in leases],
        "spent": [spent for _, spent, _ in leases],
        "unknown": [unknown for _, _, unknown in leases],
    }


async def record_spending(cursor: Cursor, execution_id: str, spending: Spending) -> None:
    """Records what was spent, in the transaction of what was got for it."""
    if spending.leases:
        await run(cursor, "spend_leases", _columns(spending.leases))
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
