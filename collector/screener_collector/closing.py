"""Adapter: Postgres: closes fetches with all that came of them, a batch a transaction.

Rows, states, items, details and what was spent appear together or not at all; a fetch that another
worker took over meanwhile is dropped, so nothing is counted or stored twice.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from screener_collector import endpoints
from screener_collector.bars import BadBar, Bars, Sorted, merge, sort_out_day
from screener_collector.fundamentals import Fundamentals
from screener_collector.store import (
    Cursor,
    Database,
    Extra,
    insert_details,
    insert_extras,
    jsonb,
    record_spending,
    run,
)
from screener_collector.storing import Changes, store_bars
from screener_collector.work import (
    BULK_ENDPOINT,
    DROPPED,
    Actions,
    BulkBars,
    End,
    Failure,
    Fetch,
    Result,
    Served,
    Spending,
    end,
    is_residue,
)
from screener_sql.model import ErrorCode

REROUTED_CALLS = endpoints.eod("", date.min, date.min).calls
"""What an item costs that must go by a request of its own after all."""


@dataclass(frozen=True, slots=True)
class _Day:
    """What a bulk day has for the assets that wait for it; nothing where it is another fetch."""

    bars: Mapping[int, Bars] = field(default_factory=dict)
    bad: Mapping[int, BadBar] = field(default_factory=dict)


class Closer:
    """Closes batches of one worker, on a connection of its own."""

    def __init__(self, database: Database, worker_id: int, execution_id: str, name: str) -> None:
        self._database = database
        self._me: dict[str, Any] = {
            "worker_id": worker_id,
            "execution_id": execution_id,
            "slice": name,
        }

    async def close(
        self,
        results: Sequence[Result],
        spending: Spending,
        *,
        in_plan: Iterable[str] = (),
        extras: Sequence[Extra] = (),
    ) -> int:
        """Closes what this worker still holds; how many that were. `in_plan`: endpoints seen."""
        async with self._database.transaction() as cursor:
            return await _Batch(cursor, self._me).close(results, spending, in_plan, extras)

    async def refuse_bulk(self, result: Result, spending: Spending, note: str) -> None:
        """The vendor's plan has no bulk days: the exchange's items go by requests of their own."""
        assert isinstance(result.came, Failure)
        fetch = result.fetch
        async with self._database.transaction() as cursor:
            scope = self._me | {"exchange_id": fetch.exchange_id}
            await run(cursor, "lock_bulk", scope)
            failure = {"error_code": result.came.error_code, "message": result.came.message}
            closed = await run(cursor, "refuse_bulk", scope | failure)
            await insert_details(
                cursor,
                self._me["execution_id"],
                [
                    _detail(result, row["kind"], calls=result.calls if n == 0 else 0)
                    for n, row in enumerate(closed)
                ],
            )
            await run(cursor, "reroute_items", scope | {"asset_ids": None, "calls": REROUTED_CALLS})
            await run(cursor, "set_endpoint", {"endpoint": BULK_ENDPOINT, "in_plan": False})
            await run(cursor, "note_slice", scope | {"kind": "group", "note": note})
            await record_spending(cursor, self._me["execution_id"], spending)

    async def defer_rest(self, error_code: ErrorCode, message: str) -> int:
        """Defers all that is open of the slice and nobody else alive works on; how many fetches."""
        async with self._database.transaction() as cursor:
            scope = self._me | {"error_code": error_code.value, "message": message}
            exchanges = [
                row["exchange_id"] for row in await run(cursor, "open_bulk_exchanges", scope)
            ]
            for exchange_id in exchanges:
                await run(cursor, "lock_bulk", scope | {"exchange_id": exchange_id})
            await run(cursor, "lock_states", {"asset_ids": [], "exchange_ids": exchanges})
            deferred = await run(cursor, "defer_fetches", scope)
            await run(cursor, "defer_items", scope | {"fetch_ids": [row["id"] for row in deferred]})
            for exchange_id in exchanges:
                await run(cursor, "finish_bulk_items", scope | {"exchange_id": exchange_id})
            return len(deferred)


def _detail(result: Result, operation: str, **more: Any) -> dict[str, Any]:
    """A detail row of a fetch that serves no single asset."""
    failure = result.came if isinstance(result.came, Failure) else None
    return {
        "asset_id": None,
        "ticker": None,
        "operation": operation,
        "state": failure.state if failure else "succeeded",
        "error_code": failure.error_code if failure else None,
        "message": failure.message if failure else None,
        "started_at": result.started_at,
        "ended_at": result.ended_at,
        **more,
    }


class _Batch:
    """One transaction."""

    def __init__(self, cursor: Cursor, me: Mapping[str, Any]) -> None:
        self._cursor = cursor
        self._me = dict(me)

    async def _run(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        return await run(self._cursor, name, self._me | parameters)

    async def close(
        self,
        results: Sequence[Result],
        spending: Spending,
        in_plan: Iterable[str],
        extras: Sequence[Extra],
    ) -> int:
        exchanges = sorted({r.fetch.exchange_id for r in results if r.fetch.is_bulk})
        for exchange_id in exchanges:
            await self._run("lock_bulk", exchange_id=exchange_id)
        asset_ids = [r.fetch.asset_id for r in results if r.fetch.asset_id is not None]
        await self._run("lock_states", asset_ids=asset_ids, exchange_ids=exchanges)
        # A fetch that was taken over and came back may have been asked twice: the latest counts.
        latest = {result.fetch.id: result for result in results}.values()
        judged = [await self._judge_bulk(result) for result in latest]
        held = await self._close_fetches([result for result, _ in judged])
        kept = [(result, day) for result, day in judged if result.fetch.id in held]
        alone = [result for result, _ in kept if not result.fetch.is_bulk]
        bulk = [(result, day) for result, day in kept if result.fetch.is_bulk]

        served = await self._served(alone)
        bad: list[tuple[int, BadBar]] = []
        in_bulk: dict[int, Bars] = {}
        for _, day in bulk:
            for asset_id, bars in day.bars.items():
                in_bulk[asset_id] = merge(in_bulk.get(asset_id, Bars.empty()), bars)
            bad.extend(day.bad.items())
        # An asset's own history is newer knowledge than a bulk row of the same batch.
        incoming = dict(in_bulk)
        for result in alone:
            if isinstance(result.came, Sorted):
                for item in served.get(result.fetch.id, ()):
                    known = incoming.get(item.asset_id, Bars.empty())
                    incoming[item.asset_id] = merge(known, result.came.bars)
                    bad.extend((item.asset_id, bar) for bar in result.came.bad)
        changes = await store_bars(self._cursor, self._me["execution_id"], incoming)
        await self._quarantine(bad)

        await self._close_items(alone, served, changes)
        await self._close_bulk(bulk, in_bulk, changes)
        for exchange_id in exchanges:
            await self._drop_bulk_prices(exchange_id, results[0].ended_at)
            await self._run("finish_bulk_items", exchange_id=exchange_id)

        for endpoint in in_plan:
            await self._run("set_endpoint", endpoint=endpoint, in_plan=True)
        execution_id = self._me["execution_id"]
        extras = list(extras)
        if lost := sum(each.calls for each in results) - sum(each.calls for each, _ in kept):
            # What results that do not count have cost was spent all the same.
            extras.append(Extra(DROPPED, lost, max(result.ended_at for result in results)))
        await insert_extras(self._cursor, execution_id, extras)
        await record_spending(self._cursor, execution_id, spending)
        return len(kept)

    async def _close_fetches(self, results: Sequence[Result]) -> set[int]:
        ended = []
        for result in results:
            failure = result.came if isinstance(result.came, Failure) else None
            ended.append(
                {
                    "id": result.fetch.id,
                    "state": failure.state if failure else "done",
                    "calls": result.calls,
                    "error_code": failure.error_code if failure else None,
                    "message": failure.message if failure else _remark(result),
                }
            )
        if not ended:
            return set()
        return {row["id"] for row in await self._run("close_fetches", ended=jsonb(ended))}

    # Assets' own fetches

    async def _served(self, results: Sequence[Result]) -> dict[int, list[Served]]:
        served: dict[int, list[Served]] = defaultdict(list)
        if results:
            rows = await self._run(
                "items_of_fetches", fetch_ids=[result.fetch.id for result in results]
            )
            for row in rows:
                served[row.pop("fetch_id")].append(Served(**row))
        return served

    async def _close_items(
        self,
        results: Sequence[Result],
        served: Mapping[int, Sequence[Served]],
        changes: Changes,
    ) -> None:
        items, details, failed, prices = [], [], [], []
        fundamentals: dict[int, Fundamentals] = {}
        for result in results:
            for item in served.get(result.fetch.id, ()):
                is_prices = isinstance(result.came, Sorted)
                ended = end(
                    item,
                    result.came,
                    changes.inserted.get(item.asset_id, 0) if is_prices else 0,
                    changes.updated.get(item.asset_id, 0) if is_prices else 0,
                )
                row = _end_row(item, ended)
                items.append(row)
                details.append(
                    row
                    | {
                        "asset_id": item.asset_id,
                        "ticker": item.ticker,
                        "operation": item.operation,
                        "calls": result.calls,
                        "started_at": result.started_at,
                        "ended_at": result.ended_at,
                    }
                )
                if ended.state == "failed":
                    failed.append(row | {"asset_id": item.asset_id, "counted": ended.counted})
                elif isinstance(result.came, Fundamentals):
                    fundamentals[item.asset_id] = result.came
                elif isinstance(result.came, Sorted):
                    prices.append(_prices_row(result, result.came, item, ended))
        if items:
            await self._run("close_items", ended=jsonb(items))
            await insert_details(self._cursor, self._me["execution_id"], details)
        if failed:
            await self._run("state_failures", ended=jsonb(failed))
        if prices:
            await self._run("state_prices", ended=jsonb(prices))
        if fundamentals:
            rows = [{"id": asset_id, **came.columns} for asset_id, came in fundamentals.items()]
            await self._run("store_fundamentals", rows=jsonb(rows))
            await self._run("state_fundamentals", asset_ids=list(fundamentals))

    # Bars

    async def _quarantine(self, bad: Sequence[tuple[int, BadBar]]) -> None:
        if bad:
            rows = [
                {
                    "asset_id": asset_id,
                    "date": bar.date,
                    "rule": bar.rule,
                    "bar": _storable(bar.row),
                }
                for asset_id, bar in bad
            ]
            await self._run("quarantine_bars", bad=jsonb(rows))

    # Bulk fetches

    async def _judge_bulk(self, result: Result) -> tuple[Result, _Day]:
        """The bars of a bulk day that are waited for, checked; a failure where it is residue."""
        came, fetch = result.came, result.fetch
        if not isinstance(came, BulkBars):
            return result, _Day()
        wanted = {
            row["code"]: row["id"]
            for row in await self._run("bulk_assets", exchange_id=fetch.exchange_id)
        }
        rows = [(code, row) for code, row in came.rows.rows if code in wanted]
        codes = {code for code, _ in came.rows.rows}
        before = {
            row["code"]
            for row in await self._run(
                "traded_before", exchange_id=fetch.exchange_id, session=fetch.session
            )
        }
        # An exchange of which few assets are wanted still shows by all that are known of it.
        for assets in (set(wanted), before):
            if is_residue(len(assets & codes), len(assets)):
                failure = Failure(
                    ErrorCode.NOT_PUBLISHED,
                    f"only {len(assets & codes)} of {len(assets)} assets have a bar of"
                    f" {fetch.session} in bulk: the session does not look published",
                    "deferred",
                )
                return _with(result, failure), _Day()
        assert fetch.session is not None  # a constraint of plan_fetches
        last = max(fetch.session, result.ended_at.date())
        day = sort_out_day(rows, fetch.session, last)
        return result, _Day(
            {wanted[code]: day.bars.take(slice(at, at + 1)) for at, code in enumerate(day.codes)},
            {wanted[code]: bad for code, bad in day.bad.items()},
        )

    async def _close_bulk(
        self,
        bulk: Sequence[tuple[Result, _Day]],
        bars: Mapping[int, Bars],
        changes: Changes,
    ) -> None:
        details = []
        for result, day in bulk:
            counts: dict[str, int] = {}
            if isinstance(result.came, Actions):
                counts["inserted"] = await self._record_actions(result.fetch, result.came)
            elif isinstance(result.came, BulkBars):
                counts["inserted"] = len(day.bars)
            details.append(_detail(result, result.fetch.kind, calls=result.calls, **counts))
        await insert_details(self._cursor, self._me["execution_id"], details)
        stored = [
            {
                "asset_id": asset_id,
                "last_date": of_asset.last_date,
                "inserted": changes.inserted.get(asset_id, 0),
                "updated": changes.updated.get(asset_id, 0),
            }
            for asset_id, of_asset in sorted(bars.items())
        ]
        if stored:
            await self._run("count_bulk_bars", stored=jsonb(stored))

    async def _drop_bulk_prices(self, exchange_id: int, at: datetime) -> None:
        """Without all actions no bars of bulk days are asked for."""
        dropped = await self._run("drop_bulk_prices", exchange_id=exchange_id)
        await insert_details(
            self._cursor,
            self._me["execution_id"],
            [
                {
                    "operation": row["kind"],
                    "state": row["state"],
                    "error_code": row["error_code"],
                    "message": row["message"],
                    "started_at": at,
                    "ended_at": at,
                }
                for row in dropped
            ],
        )

    async def _record_actions(self, fetch: Fetch, came: Actions) -> int:
        """Records actions; assets with a new one are flagged, and fetched whole in this run."""
        actions = [
            {
                "code": action.code,
                "ex_date": action.ex_date,
                "kind": action.kind,
                "split_new": action.split_new,
                "split_old": action.split_old,
                "dividend": action.dividend,
                "currency": action.currency,
                "payload": _storable(action.row),
            }
            for action in came.rows.rows
        ]
        if not actions:
            return 0
        recorded = await self._run(
            "record_actions", exchange_id=fetch.exchange_id, actions=jsonb(actions)
        )
        asset_ids = sorted({row["asset_id"] for row in recorded})
        if asset_ids:
            await self._run("flag_reprocess", asset_ids=asset_ids)
            await self._run(
                "reroute_items",
                exchange_id=fetch.exchange_id,
                asset_ids=asset_ids,
                calls=REROUTED_CALLS,
            )
        return len(recorded)


def _with(result: Result, failure: Failure) -> Result:
    return Result(result.fetch, failure, result.calls, result.started_at, result.ended_at)


def _remark(result: Result) -> str | None:
    came = result.came
    if isinstance(came, (Actions, BulkBars)) and (came.rows.refused or came.rows.unreadable):
        return (
            f"{came.rows.refused} rows of another day and {came.rows.unreadable} that cannot be"
            " read were refused"
        )
    return None


def _end_row(item: Served, ended: End) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "state": ended.state,
        "error_code": ended.error_code,
        "message": ended.message,
        "inserted": ended.inserted,
        "updated": ended.updated,
    }


def _prices_row(result: Result, came: Sorted, item: Served, ended: End) -> dict[str, Any]:
    return {
        "asset_id": item.asset_id,
        "first_date": came.bars.first_date,
        "last_date": came.bars.last_date,
        "checked_from": result.fetch.date_from,
        "expected_to": item.expected_to,
        "inserted": ended.inserted,
        "updated": ended.updated,
        "started_at": result.started_at,
    }


def _storable(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as jsonb takes it: a number that is none in JSON becomes its text."""
    return {
        key: str(value) if isinstance(value, float) and value - value != 0 else value
        for key, value in row.items()
    }
