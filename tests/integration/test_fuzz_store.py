"""Whatever the vendor answers is closed in real Postgres, and a poisoned answer costs its own asset
alone.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import fuzz_payloads as fuzz
import pytest
from fuzz_payloads import FIRST, LAST, TODAY, Spoiler
from hypothesis_profile import FIRST_SEED, TIMES
from market import Asset, add_assets, add_sessions, open_execution
from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from system_fixture import Database as Migrated

from screener_collector.answers import Answer, judge
from screener_collector.closing import Closer
from screener_collector.store import Database, Store, Worker, connect_patiently
from screener_collector.work import Fetch, Result, Spending, read
from screener_sql.model import SliceKind

pytestmark = pytest.mark.integration

BATCHES, ASSETS = 25 * TIMES, 30
KINDS = {
    "prices": ("prices_bulk", 1),
    "splits": ("splits", 1),
    "dividends": ("dividends", 1),
    "fundamentals": ("fundamentals_bulk", 10),
}
CODES = [f"A{number:02}" for number in range(ASSETS)]
GOOD = "A00"
"""The asset whose answers are good, in every batch."""


def plan(owner: Connection[TupleRow], execution_id: str) -> None:
    """A run with every kind of request of every asset. What may come in bulk is fuzzed by itself,
    without Postgres."""
    open_execution(owner, execution_id)
    owner.execute(
        "INSERT INTO financial_screener.slices (execution_id, kind, name)"
        " VALUES (%s, 'group', 'madrid')",
        [execution_id],
    )
    for kind, (operation, calls) in KINDS.items():
        span = (None, None) if kind == "fundamentals" else (FIRST, LAST)
        owner.execute(
            "WITH made AS (INSERT INTO financial_screener.plan_fetches (execution_id, group_name,"
            " ordinal, kind, exchange_id, asset_id, date_from, date_to, calls)"
            " SELECT %s, 'madrid', 1, %s, exchange_id, id, %s, %s, %s"
            " FROM financial_screener.assets RETURNING id, asset_id, exchange_id)"
            " INSERT INTO financial_screener.plan_items (execution_id, group_name, asset_id,"
            " exchange_id, operation, way, fetch_id, expected_to, planned_calls)"
            " SELECT %s, 'madrid', asset_id, exchange_id, %s, 'asset', id, %s, %s FROM made",
            [execution_id, kind, *span, calls, execution_id, operation, LAST, calls],
        )


def body(make: Spoiler, fetch: Fetch) -> bytes:
    """What is answered to a fetch."""
    good: dict[str, Any] = {
        "prices": [fuzz.BAR, fuzz.OTHER_BAR],
        "splits": [fuzz.SPLIT],
        "dividends": [fuzz.DIVIDEND],
        "fundamentals": fuzz.FUNDAMENTALS
        | {"General": fuzz.FUNDAMENTALS["General"] | {"Code": fetch.code}},
    }
    if fetch.code == GOOD:
        return json.dumps(good[fetch.kind]).encode()
    if fetch.kind == "fundamentals":
        return make.body(make.sections(good["fundamentals"]))
    return make.body(make.rows(*good[fetch.kind]))


def came(fetch: Fetch, answer: bytes, at: datetime) -> Result:
    """What the collector makes of it."""
    judged = judge(Answer(200, "application/json", answer), fetch.endpoint.shape)
    return Result(fetch, read(fetch, judged, TODAY), fetch.calls, at, at + timedelta(seconds=1))


@pytest.fixture
async def connection(database: Migrated) -> AsyncIterator[Database]:
    made = Database(await connect_patiently(database.urls["collector"], "fuzz"))
    yield made
    await made.close()


async def test_whatever_is_answered_is_closed_and_costs_its_own_asset_alone(
    owner: Connection[TupleRow], database: Migrated, connection: Database
) -> None:
    add_sessions(owner, "MC", FIRST, LAST)
    add_assets(owner, [Asset(code, "MC") for code in CODES])
    at = datetime.now(UTC)
    for number in range(FIRST_SEED, FIRST_SEED + BATCHES):
        execution_id, make = f"run-{number}", Spoiler(number)
        plan(owner, execution_id)
        worker = await Worker.register(
            database.urls["collector"], execution_id, "madrid", "pod-of-a-test"
        )
        store = Store(connection, worker.id, execution_id, SliceKind.GROUP, "madrid")
        closer = Closer(connection, worker.id, execution_id, "madrid")
        fetches = await store.claim(1000)
        assert len(fetches) == ASSETS * len(KINDS)
        answers = {fetch.id: body(make, fetch) for fetch in fetches}
        results = [came(fetch, answers[fetch.id], at) for fetch in fetches]
        try:
            assert await closer.close(results, Spending()) == len(results)
        except Exception as error:
            await tell_poison(closer, results, answers, number, error)
            raise
        finally:
            await worker.end()
        assert await store.finish_slice()
    check(owner)


async def tell_poison(
    closer: Closer,
    results: list[Result],
    answers: dict[int, bytes],
    number: int,
    error: Exception,
) -> None:
    """Closes one by one, and tells which it is."""
    for result in results:
        try:
            await closer.close([result], Spending())
        except Exception as alone:
            raise AssertionError(
                f"FUZZ_SEED={number}: {result.fetch.kind} of {result.fetch.subject} poisons its"
                f" batch ({type(alone).__name__}: {alone}): {answers[result.fetch.id][:3000]!r}"
            ) from error


def check(owner: Connection[TupleRow]) -> None:
    """Every item has ended once, with a reason where it failed; only good bars are there."""
    with owner.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SET search_path TO financial_screener")

        def rows(statement: bytes) -> list[dict[str, Any]]:
            return cursor.execute(statement).fetchall()

        assert not rows(b"SELECT * FROM plan_items WHERE state = 'planned'")
        assert not rows(
            b"SELECT * FROM plan_items WHERE state = 'failed' AND (error_code IS NULL"
            b" OR message IS NULL)"
        )
        good = rows(
            b"SELECT state, operation, count(*) FROM plan_items JOIN assets ON assets.id = asset_id"
            b" WHERE code = 'A00' AND state <> 'succeeded' GROUP BY 1, 2"
        )
        assert not good, "good answers beside bad ones"
        assert not rows(
            b"SELECT execution_id, asset_id, operation, count(*) FROM asset_processing_details"
            b" WHERE ticker IS NOT NULL GROUP BY 1, 2, 3 HAVING count(*) <> 1"
        )
        assert not rows(
            b"SELECT * FROM stock_prices WHERE NOT (open > 0 AND high > 0 AND low > 0 AND close > 0"
            b" AND adj_close > 0 AND volume >= 0 AND low <= high * 1.0002"
            b" AND greatest(open, high, low, close, adj_close) < 'infinity')"
        )
        assert rows(b"SELECT count(*) FROM quarantined_bars")[0]["count"] > 50
        assert rows(b"SELECT count(*) FROM stock_prices")[0]["count"] > 20
