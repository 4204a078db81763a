"""Adapter: Postgres: what a preflight reads, and stores of the vendor's account and lists.

Each answer is stored in one transaction with its detail row and what it cost.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from typing import Any

from psycopg.rows import DictRow

from screener_collector import parse
from screener_collector.calendars import Session
from screener_collector.store import (
    Cursor,
    Database,
    Extra,
    Reading,
    insert_details,
    insert_extras,
    jsonb,
    reconcile,
    record_spending,
    run,
)
from screener_collector.universe import Changes, Known, Rename
from screener_collector.vendor import Reply
from screener_collector.work import Spending
from screener_sql.errors import BadSetting

RATES = "FOREX"
"""The vendor's exchange code of exchange rates, whose sessions serve all of them."""


@dataclass(frozen=True, slots=True)
class KnownExchange:
    """A row of `exchanges`."""

    id: int
    code: str
    calendar: str | None
    time_zone: str | None
    close_override: time | None
    kind: str
    """`listings` or `reference`."""
    listed_at: datetime | None
    listed_rows: int | None
    believe_next_list: bool
    details: object
    """The vendor's details, as they came; None without."""
    details_at: datetime | None
    list_is_fresh: bool
    listed_types: Sequence[str]
    """The types of assets that were wanted when its list was last read."""
    details_are_fresh: bool
    has_assets: bool


class Listing:
    """What the preflight of one execution reads and writes."""

    def __init__(self, database: Database, worker_id: int, execution_id: str) -> None:
        self._database = database
        self._worker_id = worker_id
        self._execution_id = execution_id

    def transaction(self) -> AbstractAsyncContextManager[Cursor]:
        """A transaction of the preflight's connection."""
        return self._database.transaction()

    async def spec(self) -> Mapping[str, Any]:
        """The run's spec. Raises BadSetting for an execution that is not open."""
        async with self.transaction() as cursor:
            rows = await run(cursor, "run_spec", {"execution_id": self._execution_id})
        if not rows or not rows[0]["spec"]:
            raise BadSetting(f"EXECUTION_ID: execution {self._execution_id} has no spec")
        spec: Mapping[str, Any] = rows[0]["spec"]
        return spec

    async def exchanges(self, codes: Sequence[str]) -> list[KnownExchange]:
        """Those of `codes` that the database knows."""
        async with self.transaction() as cursor:
            rows = await run(cursor, "exchanges", {"codes": list(codes)})
        return [KnownExchange(**row) for row in rows]

    @asynccontextmanager
    async def answered(
        self, operation: str, reply: Reply, spending: Spending, extras: Sequence[Extra]
    ) -> AsyncIterator[Cursor]:
        """A transaction that stores an answer; adds its detail row and what it cost."""
        async with self.transaction() as cursor:
            yield cursor
            await record_request(cursor, self._execution_id, operation, reply)
            await insert_extras(cursor, self._execution_id, extras)
            await record_spending(cursor, self._execution_id, spending)

    async def account(self, spending: Spending, extras: Sequence[Extra]) -> None:
        """Records what was spent on no answer."""
        async with self.transaction() as cursor:
            await insert_extras(cursor, self._execution_id, extras)
            await record_spending(cursor, self._execution_id, spending)

    async def reconcile(self, cursor: Cursor, reading: Reading) -> None:
        """Sets the day's ledger by the vendor's counter."""
        await reconcile(cursor, reading)
        await run(cursor, "forget_leases", {})


async def record_request(cursor: Cursor, execution_id: str, operation: str, reply: Reply) -> None:
    """The detail row of a request of the preflight."""
    failed = reply.judged is None or reply.judged.data is None
    message = reply.judged.message if reply.judged else reply.message
    await insert_details(
        cursor,
        execution_id,
        [
            {
                "operation": operation,
                "state": "failed" if failed else "succeeded",
                "calls": reply.calls,
                "error_code": (reply.judged.meaning if reply.judged else reply.error_code)
                if failed
                else None,
                "message": message if failed else None,
                "started_at": reply.started_at,
                "ended_at": reply.ended_at,
            }
        ],
    )


async def add_exchange(
    cursor: Cursor, listed: parse.ListedExchange, calendar: tuple[str, str] | None
) -> None:
    """An exchange that the vendor lists; `calendar`: its name in the library and time zone."""
    await run(
        cursor,
        "insert_exchange",
        {
            "code": listed.code,
            "name": listed.name,
            "mic": listed.mics[0] if listed.mics else None,
            "calendar": calendar[0] if calendar else None,
            "time_zone": calendar[1] if calendar else None,
            "currency": listed.currency,
            "country": listed.country,
        },
    )


async def known_assets(cursor: Cursor, exchange_id: int) -> list[Known]:
    """The assets of an exchange."""
    rows = await run(cursor, "known_assets", {"exchange_id": exchange_id})
    return [Known(**row) for row in rows]


async def lock_exchange(cursor: Cursor, exchange_id: int) -> None:
    """Another preflight that compares a list of the exchange waits for this transaction."""
    await run(cursor, "lock_exchange", {"exchange_id": exchange_id})


async def store_changes(
    cursor: Cursor, execution_id: str, exchange_id: int, changes: Changes
) -> None:
    """Writes what a symbol list changed, with its events."""
    scope = {"exchange_id": exchange_id, "execution_id": execution_id}
    if changes.renamed:
        await _rename(cursor, changes.renamed)
    if changes.added:
        added = jsonb([asdict(row) for row in changes.added])
        await run(cursor, "insert_assets", scope | {"listings": added})
    if changes.updated:
        updated = jsonb([{"id": asset_id, **asdict(row)} for asset_id, row in changes.updated])
        await run(cursor, "update_assets", {"listings": updated})
    if changes.delisted:
        await run(cursor, "unlist_assets", {"asset_ids": list(changes.delisted)})
    await run(cursor, "insert_states", scope)
    if changes.retry:
        await run(cursor, "retry_assets", {"asset_ids": list(changes.retry)})
    if changes.refetch:
        await run(cursor, "refetch_assets", {"asset_ids": list(changes.refetch)})
    if changes.events:
        events = jsonb([asdict(event) for event in changes.events])
        await run(cursor, "record_asset_events", scope | {"events": events})


async def _rename(cursor: Cursor, renames: Sequence[Rename]) -> None:
    asset_ids = [rename.asset.id for rename in renames]
    before = await run(cursor, "tickers", {"asset_ids": asset_ids})
    # By way of names that no code has, as codes may be exchanged among them.
    for codes in ([f"\n{each}" for each in asset_ids], [rename.code for rename in renames]):
        pairs = zip(asset_ids, codes, strict=True)
        renamed = jsonb([{"id": asset_id, "code": code} for asset_id, code in pairs])
        await run(cursor, "rename_assets", {"renames": renamed})
        await run(cursor, "rename_states", {"asset_ids": asset_ids})
    after = await run(cursor, "tickers", {"asset_ids": asset_ids})
    await run(
        cursor,
        "rename_wishes",
        {"old": [row["ticker"] for row in before], "new": [row["ticker"] for row in after]},
    )


async def set_listed(cursor: Cursor, exchange_id: int, rows: int, types: Collection[str]) -> None:
    """The symbol list of an exchange, of so many rows, was read and believed."""
    await run(
        cursor, "set_listed", {"exchange_id": exchange_id, "rows": rows, "types": sorted(types)}
    )


async def prove_isins(cursor: Cursor, exchange_id: int) -> None:
    """What fundamentals said of ISINs since the list before is of the assets that it shows."""
    await run(cursor, "prove_isins", {"exchange_id": exchange_id})


async def doubt_list(
    cursor: Cursor, execution_id: str, exchange_id: int, said: Mapping[str, int]
) -> None:
    """The symbol list of an exchange was not believed; `said`: counts that tell why."""
    event = {"event": "list_not_believed", "new": said}
    await run(
        cursor,
        "record_asset_events",
        {"exchange_id": exchange_id, "execution_id": execution_id, "events": jsonb([event])},
    )


async def set_flag(cursor: Cursor, exchange_id: int, flag: str, doubtful: bool) -> bool:
    """Sets or clears one of `exchanges.flags`; whether that changed something."""
    parameters = {"exchange_id": exchange_id, "flag": flag, "doubtful": doubtful}
    return bool(await run(cursor, "set_flag", parameters))


async def recent_closes(
    cursor: Cursor, asset_id: int, count: int, before: date | None
) -> dict[date, float]:
    """The latest closes of an asset by day, those before a day where one is given."""
    scope = {"asset_id": asset_id, "count": count, "before": before}
    rows = await run(cursor, "recent_closes", scope)
    return {row["date"]: row["close"] for row in rows}


async def add_symbols(cursor: Cursor, exchange_id: int, symbols: Sequence[str]) -> None:
    """Assets for symbols that a spec names and no list has, so that they too end in a state."""
    listings = jsonb([{"code": code} for code in symbols])
    await run(cursor, "insert_assets", {"exchange_id": exchange_id, "listings": listings})
    await run(cursor, "insert_states", {"exchange_id": exchange_id})


async def add_reference_assets(cursor: Cursor, exchanges: Sequence[str]) -> None:
    """The benchmarks of `exchanges`, and a rate to USD of every other currency of their listings.

    They are assets with states, of kind `index` and `fx`, outside the universe.
    """
    await run(cursor, "insert_reference_assets", {"exchanges": list(exchanges)})


async def set_details(cursor: Cursor, exchange_id: int, details: Mapping[str, Any]) -> None:
    """The vendor's details of an exchange."""
    await run(
        cursor,
        "set_exchange_details",
        {"exchange_id": exchange_id, "details": jsonb(details)},
    )


async def covered(cursor: Cursor, exchange_id: int) -> tuple[date | None, date | None]:
    """The first and last session that the exchange has rows for."""
    rows = await run(cursor, "sessions_covered", {"exchange_id": exchange_id})
    return rows[0]["first"], rows[0]["last"]


Span = tuple[date, date]
"""First and last day, both included."""


async def store_sessions(
    cursor: Cursor, exchange_id: int, sessions: Sequence[Session], span: Span
) -> None:
    """Trading days of an exchange; those that it has in `span`, and no others."""
    scope = {"exchange_id": exchange_id, "first": span[0], "last": span[1]}
    await run(cursor, "drop_sessions", scope | {"days": [session.day for session in sessions]})
    rows = jsonb([asdict(session) for session in sessions])
    await run(cursor, "upsert_sessions", scope | {"sessions": rows})


async def corrections(cursor: Cursor, calendar: str) -> list[DictRow]:
    """Rows with `first_day`, `last_day` and `closes`."""
    return await run(cursor, "calendar_corrections", {"calendar": calendar})


async def closed_days(cursor: Cursor, exchange_id: int) -> frozenset[date]:
    """Closed days by the vendor's details."""
    rows = await run(cursor, "closed_days", {"exchange_id": exchange_id})
    return frozenset(row["day"] for row in rows)


async def set_closed_days(
    cursor: Cursor, exchange_id: int, days: Mapping[date, str | None], span: Span
) -> None:
    """Closed days by details that reach over `span`; those known of other days stay."""
    scope = {"exchange_id": exchange_id, "first": span[0], "last": span[1], "days": list(days)}
    await run(cursor, "forget_closed_days", scope)
    await run(cursor, "add_closed_days", scope | {"names": list(days.values())})


async def days_of_trade(cursor: Cursor, exchange_id: int, days: Sequence[date]) -> set[date]:
    """Those of `days` on which stored bars of the exchange show trade."""
    rows = await run(cursor, "days_of_trade", {"exchange_id": exchange_id, "days": list(days)})
    return {row["day"] for row in rows}


async def set_time_zone(cursor: Cursor, exchange_id: int, time_zone: str) -> None:
    """The time zone of an exchange without a calendar."""
    await run(cursor, "set_time_zone", {"exchange_id": exchange_id, "time_zone": time_zone})
