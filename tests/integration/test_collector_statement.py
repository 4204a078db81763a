"""A statement that is sent below psycopg's cursors: answers, errors, and a task that stops
waiting."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from system_fixture import Database

from screener_collector import statement
from screener_collector.statement import Statement
from screener_collector.store import connect_patiently

pytestmark = pytest.mark.integration

TEXTS = {
    "long": b"SELECT repeat('x', %(length)s::integer), %(length)s::integer + 1",
    "wait": b"SELECT pg_sleep(%(seconds)s::float8)",
    "divide": b"SELECT 6 / %(by)s::integer",
}


@pytest.fixture
async def statements(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, Statement]]:
    """Those of TEXTS, on one connection."""
    monkeypatch.setattr(statement, "query", TEXTS.__getitem__)
    connection = await connect_patiently(database.owner_url, "a statement's test")
    yield {name: Statement(connection, name) for name in TEXTS}
    await connection.close()


async def test_an_answer_in_many_parts_is_read_whole(statements: dict[str, Statement]) -> None:
    length = 5_000_000

    text, after = await statements["long"].row({"length": length})

    assert (len(text), after) == (length, length + 1)


async def test_an_error_is_raised_and_the_next_one_goes(statements: dict[str, Statement]) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        await statements["divide"].row({"by": 0})

    assert await statements["divide"].row({"by": 2}) == (3,)


async def test_a_task_that_is_cancelled_cancels_its_query(statements: dict[str, Statement]) -> None:
    # It would run for longer than a test may, and the next one waits for it.
    asked = asyncio.ensure_future(statements["wait"].row({"seconds": 3600.0}))
    await asyncio.sleep(0.3)
    asked.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await statements["divide"].row({"by": 2}) == (3,)
