"""Closes whatever the vendor might answer in real Postgres, and says what must hold of what is
stored then.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fuzz_payloads import TODAY
from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from system_fixture import Database as Migrated

from screener_collector.answers import Answer, judge
from screener_collector.closing import Closer
from screener_collector.store import Database, Store, Worker, connect_patiently
from screener_collector.work import Fetch, Result, Spending, read
from screener_sql.model import SliceKind

GROUP = "madrid"


def add_slice(owner: Connection[TupleRow], execution_id: str) -> None:
    """The slice that all fetches of a run are in."""
    owner.execute(
        "INSERT INTO financial_screener.slices (execution_id, kind, name) VALUES (%s, 'group', %s)",
        [execution_id, GROUP],
    )


def came(fetch: Fetch, answer: bytes, at: datetime) -> Result:
    """What the collector makes of an answer with status 200."""
    judged = judge(Answer(200, "application/json", answer), fetch.endpoint.shape)
    return Result(fetch, read(fetch, judged, TODAY), fetch.calls, at, at + timedelta(seconds=1))


@dataclass(frozen=True)
class Slice:
    """A run's slice and the worker that closes it; `seed` is told of what fails."""

    store: Store
    closer: Closer
    seed: int

    async def close_open(self, answer: Callable[[Fetch], bytes]) -> list[Result]:
        """Claims what is open and closes it in one batch; what came of it."""
        at = datetime.now(UTC)
        fetches = await self.store.claim(1000)
        answers = {fetch.id: answer(fetch) for fetch in fetches}
        results = [came(fetch, answers[fetch.id], at) for fetch in fetches]
        try:
            assert await self.closer.close(results, Spending()) == len(results)
        except Exception as error:
            await self._tell_poison(results, answers, error)
            raise
        return results

    async def _tell_poison(
        self, results: list[Result], answers: Mapping[int, bytes], error: Exception
    ) -> None:
        """Closes one by one, and tells which it is."""
        for result in results:
            try:
                await self.closer.close([result], Spending())
            except Exception as alone:
                raise AssertionError(
                    f"FUZZ_SEED={self.seed}: {result.fetch.kind} of {result.fetch.subject} poisons"
                    f" its batch ({type(alone).__name__}: {alone}):"
                    f" {answers[result.fetch.id][:3000]!r}"
                ) from error


@asynccontextmanager
async def slice_of(database: Migrated, execution_id: str, seed: int) -> AsyncIterator[Slice]:
    """A worker on the slice of a run; the slice ends with all that is in it."""
    connection = Database(await connect_patiently(database.urls["collector"], "fuzz"))
    worker = await Worker.register(database.urls["collector"], execution_id, GROUP, "pod-of-a-test")
    try:
        store = Store(connection, worker.id, execution_id, SliceKind.GROUP, GROUP)
        yield Slice(store, Closer(connection, worker.id, execution_id, GROUP), seed)
        assert await store.finish_slice()
    finally:
        await worker.end()
        await connection.close()


NEVER: dict[str, str] = {
    "an item is left open": "SELECT * FROM plan_items WHERE state = 'planned'",
    "an item did not succeed, and nothing says why": "SELECT * FROM plan_items"
    " WHERE state <> 'succeeded' AND (error_code IS NULL OR message IS NULL OR message = '')",
    "an item without one detail row": "SELECT execution_id, asset_id, plan_items.operation,"
    " count(details.id) FROM plan_items"
    " LEFT JOIN asset_processing_details AS details USING (execution_id, asset_id, operation)"
    " GROUP BY 1, 2, 3 HAVING count(details.id) <> 1",
    "a bar that nobody should believe": "SELECT * FROM stock_prices WHERE NOT (open > 0"
    " AND high > 0 AND low > 0 AND close > 0 AND adj_close > 0 AND volume >= 0"
    " AND low <= least(open, close) * 1.0002 AND high * 1.0002 >= greatest(open, close)"
    " AND greatest(open, high, low, close, adj_close) < 'infinity')",
}
"""Rows that must never be there once slices have ended."""


def assert_none(owner: Connection[TupleRow]) -> None:
    """Every item has ended once, and says why where it did not succeed; all bars are good."""
    for name, statement in NEVER.items():
        found = rows_of(owner, statement)
        assert not found, (name, found[:3])


def rows_of(owner: Connection[TupleRow], statement: str, *parameters: object) -> list[Any]:
    """The rows of a query, as dicts."""
    with owner.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SET search_path TO financial_screener")
        return cursor.execute(statement.encode(), parameters).fetchall()
