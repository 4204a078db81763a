"""The ledger of two workers on real Postgres: leased and given back in one order of locks."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date
from threading import Thread

import psycopg
import pytest
from collector_world import Owner, World, login
from simulator_fixture import Simulator

from screener_collector.store import Database, Store, connect_patiently
from screener_sql import query
from screener_sql.model import SliceKind

pytestmark = pytest.mark.integration


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    with login(owner) as url:
        yield World(owner, url, simulator)


def add_worker(world: World) -> int:
    worker: int = world.value(
        "INSERT INTO workers (execution_id, slice, pod) VALUES ('run-1', 'swiss', 'x') RETURNING id"
    )
    return worker


@asynccontextmanager
async def a_store(world: World, worker: int) -> AsyncIterator[Store]:
    database = Database(await connect_patiently(world.url, "a ledger's test"))
    try:
        yield Store(database, worker, "run-1", SliceKind.GROUP, "swiss")
    finally:
        await database.close()


def test_a_lease_and_a_return_never_wait_for_each_other(world: World) -> None:
    world.open()
    worker = add_worker(world)
    failures: list[BaseException] = []

    async def lease() -> tuple[int, date]:
        async with a_store(world, worker) as store:
            return await store.lease(50, 1000)

    async def give_back() -> None:
        async with a_store(world, worker) as store:
            await store.return_lease(lease_id, day, 10)

    def in_thread() -> None:
        try:
            asyncio.run(give_back())
        except BaseException as error:
            failures.append(error)

    lease_id, day = asyncio.run(lease())
    with psycopg.connect(world.url) as other:
        wanted = {"execution_id": "run-1", "calls": 20, "daily_limit": 1000, "keep_calls": 0}
        other.execute(query("collector/lease_budget"), wanted)
        thread = Thread(target=in_thread)
        thread.start()
        world.until(
            lambda: (
                world.value(
                    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                    " WHERE NOT granted AND datname = current_database()"
                )
                or failures
            ),
            "the return waiting for the lease",
        )
        assert other.execute(query("collector/lease_day"), wanted).fetchone() is not None
    thread.join(30)

    assert failures == []
    assert world.used() == 30
    assert world.value("SELECT calls_used FROM execution_budgets") == 30
