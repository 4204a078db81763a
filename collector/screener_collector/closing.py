"""Adapter: Postgres: closes fetches with all that came of them, a batch a transaction.

Rows, states, items, details and what was spent appear together or not at all; a fetch that another
worker took over meanwhile is dropped, so nothing is counted or stored twice. What each kind of
fetch brings is written by `closing_assets`, `closing_bulk`, `closing_pages` and `closing_actions`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from screener_collector import closing_actions, closing_bulk, closing_pages
from screener_collector.bars import Bars, merge
from screener_collector.closing_actions import PRICES, REFETCH_CALLS
from screener_collector.closing_assets import OwnFetches
from screener_collector.closing_bulk import Stored
from screener_collector.findings import Judge
from screener_collector.store import Database, Extra, insert_extras, jsonb, record_spending
from screener_collector.storing import store_bars
from screener_collector.transaction import Transaction, detail
from screener_collector.work import (
    BULK_ENDPOINT,
    DROPPED,
    PAGE_ENDPOINT,
    Actions,
    BulkBars,
    Failure,
    Page,
    Result,
    Spending,
)
from screener_sql.model import ErrorCode, Operation


class Closer:
    """Closes batches of one worker, on a connection of its own."""

    def __init__(self, database: Database, worker_id: int, execution_id: str, name: str) -> None:
        self._database = database
        self._me: dict[str, Any] = {
            "worker_id": worker_id,
            "execution_id": execution_id,
            "slice": name,
        }
        self._judge = Judge(worker_id, execution_id)

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
            batch = Transaction(cursor, self._me)
            kept = await _close(batch, results, self._judge)
            for endpoint in in_plan:
                await batch.run("set_endpoint", endpoint=endpoint, in_plan=True)
            extras = list(extras)
            if lost := sum(each.calls for each in results) - sum(each.calls for each in kept):
                # What results that do not count have cost was spent all the same.
                extras.append(Extra(DROPPED, lost, max(result.ended_at for result in results)))
            await insert_extras(cursor, batch.execution_id, extras)
            await record_spending(cursor, batch.execution_id, spending)
            return len(kept)

    async def refuse_bulk(self, result: Result, spending: Spending, note: str) -> None:
        """The vendor's plan has no bulk days, or no pages: the exchange goes asset by asset."""
        assert isinstance(result.came, Failure)
        fetch = result.fetch
        async with self._database.transaction() as cursor:
            batch = Transaction(cursor, self._me)
            await batch.run("lock_bulk", exchange_id=fetch.exchange_id)
            closed = await batch.run(
                "refuse_bulk",
                exchange_id=fetch.exchange_id,
                pages=fetch.is_page,
                error_code=result.came.error_code,
                message=result.came.message,
            )
            await batch.tell(
                [
                    detail(result, row["kind"], calls=result.calls if n == 0 else 0)
                    for n, row in enumerate(closed)
                ]
            )
            if fetch.is_page:
                await closing_pages.reroute(batch, [fetch.exchange_id])
            else:
                await batch.run(
                    "reroute_items",
                    exchange_id=fetch.exchange_id,
                    asset_ids=None,
                    operations=[*PRICES, Operation.SPLITS, Operation.DIVIDENDS],
                    calls=REFETCH_CALLS,
                )
            endpoint = PAGE_ENDPOINT if fetch.is_page else BULK_ENDPOINT
            await batch.run("set_endpoint", endpoint=endpoint, in_plan=False)
            await batch.run("note_slice", kind="group", note=note)
            await record_spending(cursor, batch.execution_id, spending)

    async def defer_rest(self, error_code: ErrorCode, message: str) -> int:
        """Defers all that is open of the slice and nobody else alive works on; how many fetches."""
        async with self._database.transaction() as cursor:
            batch = Transaction(cursor, self._me)
            why = {"error_code": error_code.value, "message": message}
            exchanges = [row["exchange_id"] for row in await batch.run("open_bulk_exchanges")]
            for exchange_id in exchanges:
                await batch.run("lock_bulk", exchange_id=exchange_id)
            await batch.run("lock_states", asset_ids=[], exchange_ids=exchanges)
            deferred = await batch.run("defer_fetches", **why)
            fetch_ids = [row["id"] for row in deferred]
            await batch.run("defer_items", fetch_ids=fetch_ids, **why)
            for exchange_id in exchanges:
                await closing_bulk.finish(batch, exchange_id, [])
            return len(deferred)


async def _close(batch: Transaction, results: Sequence[Result], judge: Judge) -> list[Result]:
    """Closes the fetches that the worker still holds, with what came of them; those."""
    exchanges = sorted({r.fetch.exchange_id for r in results if r.fetch.is_bulk})
    for exchange_id in exchanges:
        await batch.run("lock_bulk", exchange_id=exchange_id)
    asset_ids = [r.fetch.asset_id for r in results if r.fetch.asset_id is not None]
    await batch.run("lock_states", asset_ids=asset_ids, exchange_ids=exchanges)
    # A fetch that was taken over and came back may have been asked twice: the latest counts.
    latest = {result.fetch.id: result for result in results}.values()
    days = [
        await closing_bulk.read(batch, result, judge)
        for result in latest
        if result.fetch.session is not None
    ]
    others = [result for result in latest if result.fetch.session is None]
    held = await _close_fetches(batch, [*others, *(day.result for day in days)])
    days = [
        await closing_bulk.judge_bars(batch, day, judge)
        for day in days
        if day.result.fetch.id in held
    ]
    others = [result for result in others if result.fetch.id in held]
    own = await OwnFetches.read(batch, [each for each in others if not each.fetch.is_bulk])
    own = await own.judged(judge)

    # An asset's own history is newer knowledge than a bulk row of the same batch.
    due = [day for day in days if day.result.fetch.is_due_day]
    of_due = closing_bulk.bars_of(due)
    of_corrections = closing_bulk.bars_of([day for day in days if day not in due])
    incoming = dict(of_due)
    for asset_id, bars in own.bars().items():
        incoming[asset_id] = merge(incoming.get(asset_id, Bars.empty()), bars)
    corrected = {
        asset_id: bars for asset_id, bars in of_corrections.items() if asset_id not in incoming
    }
    bad = [*own.bad(), *(bad for day in days for bad in day.bad.items())]
    set_aside: dict[int, list[date]] = defaultdict(list)
    for asset_id, bar in bad:
        if bar.date is not None:
            set_aside[asset_id].append(bar.date)
    changes = await store_bars(
        batch.cursor, batch.execution_id, incoming, whole=own.spans(), set_aside=set_aside
    )
    corrections = await store_bars(batch.cursor, batch.execution_id, corrected)
    await judge.set_aside(batch.cursor, bad)
    # Their adjusted closes would stand beside others that are adjusted for more.
    await judge.unstore(batch.cursor, own.spoilt(changes.updated.keys()))
    await closing_bulk.record_days(batch, days)

    recorded = await closing_actions.record(batch, [*(day.result for day in days), *others])
    histories = own.histories()
    look_at = recorded.asset_ids | incoming.keys()
    waiting = await closing_actions.look(batch, look_at, histories)
    await own.close(changes, recorded.counts, waiting)
    await judge.again(batch.cursor, recorded.asset_ids | recorded.withdrawn)
    touched = {*incoming, *corrected, *(asset_id for asset_id, _ in bad)}
    await judge.finish(batch.cursor, touched)
    stored = [Stored(True, of_due, changes), Stored(False, of_corrections, corrections)]
    await closing_bulk.close(batch, days, stored, recorded.counts)
    await closing_pages.close(batch, [each for each in others if each.fetch.is_page])
    await closing_actions.fetch_again(
        batch, waiting | (recorded.withdrawn - histories.keys()), histories
    )
    for exchange_id in exchanges:
        await closing_bulk.finish(batch, exchange_id, days)
    return [*others, *(day.result for day in days)]


async def _close_fetches(batch: Transaction, results: Sequence[Result]) -> set[int]:
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
    return {row["id"] for row in await batch.run("close_fetches", ended=jsonb(ended))}


def _remark(result: Result) -> str | None:
    came = result.came
    if isinstance(came, (Actions, BulkBars)) and (came.rows.refused or came.rows.unreadable):
        return (
            f"{came.rows.refused} rows of another day and {came.rows.unreadable} that cannot be"
            " read were refused"
        )
    if isinstance(came, Page) and came.unreadable:
        return f"{came.unreadable} entries of the page are no fundamentals"
    return None
