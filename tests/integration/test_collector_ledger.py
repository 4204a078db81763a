"""The ledger of two workers on real Postgres: leased and given back in one order of locks."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from threading import Thread

import psycopg
import pytest
from collector_world import Owner, World, login
from market import Asset
from simulator_fixture import Simulator

from screener_collector import ledger
from screener_collector.closing import Closer
from screener_collector.ledger import Ledger, to_wait_at_midnight
from screener_collector.store import Database, Store, connect_patiently
from screener_collector.work import Failure, Result, Spending
from screener_sql import query
from screener_sql.model import ErrorCode, SliceKind

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
        wanted = {
            "execution_id": "run-1",
            "calls": 20,
            "daily_limit": 1000,
            "keep_calls": 0,
            "though_spent": False,
        }
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


class Elsewhen(Store):
    """The real store, but for the time that it tells: it is `ahead` of Postgres' at first."""

    ahead = timedelta()

    async def clock(self) -> datetime:
        return await super().clock() + self.ahead


def test_a_clock_that_is_a_day_off_leases_nothing_over_and_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "CLOCKS_DIFFER_S", 1.0)
    world.open()
    worker = add_worker(world)

    async def reserve() -> None:
        database = Database(await connect_patiently(world.url, "a ledger's test"))
        store = Elsewhen(database, worker, "run-1", SliceKind.GROUP, "swiss")
        Elsewhen.ahead = timedelta(days=1)
        mine = Ledger(store, 1000)
        await mine.set_clock()
        waiting = asyncio.create_task(mine.reserve("eod", 1))
        await asyncio.sleep(2.5)
        assert not waiting.done()
        Elsewhen.ahead = timedelta()
        reservation = await asyncio.wait_for(waiting, 10)
        mine.settle(reservation, 1, error=False)
        await mine.give_back()
        await database.close()

    asyncio.run(reserve())

    assert world.value("SELECT count(*) FROM api_leases") <= 5
    assert world.used() == 1


class SlowSlots(Store):
    """The real store, but a slot takes until so long before midnight, by the ledger's clock."""

    async def clock(self) -> datetime:
        now = await super().clock()
        return datetime.combine(now.date(), datetime.max.time(), UTC) - timedelta(seconds=4.5)

    async def take_slots(self, slots: int) -> tuple[datetime, int]:
        now = self.ledger.now()
        if now.hour == 23:
            await asyncio.sleep(2.0)
        return now.replace(second=0, microsecond=0), slots

    ledger: Ledger


def test_a_slot_that_came_shortly_before_midnight_is_not_used_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "CLOCKS_DIFFER_S", 0.5)
    world.open()
    worker = add_worker(world)

    async def reserve() -> None:
        database = Database(await connect_patiently(world.url, "a ledger's test"))
        store = SlowSlots(database, worker, "run-1", SliceKind.GROUP, "swiss")
        store.ledger = mine = Ledger(store, 1000)
        await mine.set_clock()
        waiting = asyncio.create_task(mine.reserve("eod", 1))
        await asyncio.sleep(2.7)  # the slot has come
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await mine.give_back()
        await database.close()

    asyncio.run(reserve())
    assert world.used() == 0


@pytest.mark.parametrize(
    ("now", "wait"),
    [
        pytest.param(datetime(2026, 1, 1, 12, tzinfo=UTC), 0.0, id="noon"),
        pytest.param(datetime(2026, 1, 1, 23, 59, 58, tzinfo=UTC), 4.0, id="2 s before midnight"),
        pytest.param(datetime(2026, 1, 1, 23, 59, 57, tzinfo=UTC), 0.0, id="3 s before midnight"),
        pytest.param(datetime(2026, 1, 2, 0, 0, 1, tzinfo=UTC), 1.0, id="1 s after midnight"),
        pytest.param(datetime(2026, 1, 2, 0, 0, 2, tzinfo=UTC), 0.0, id="2 s after midnight"),
    ],
)
def test_nothing_is_sent_around_midnight(now: datetime, wait: float) -> None:
    assert to_wait_at_midnight(now) == wait


async def test_a_fetch_that_was_asked_for_twice_is_closed_once(world: World) -> None:
    """As when its worker lost it to another, who died, and claimed it again meanwhile."""
    world.open()
    world.add(Asset("A", "SW"))
    world.plan("A.SW")
    worker = add_worker(world)
    now = datetime.now(UTC)
    async with a_store(world, worker) as store:
        (fetch,) = await store.claim(1)
    writer = Database(await connect_patiently(world.url, "a ledger's test"))
    try:
        gone = Failure(ErrorCode.NOT_FOUND, "the vendor does not know it")
        asked = [Result(fetch, gone, 1, now, now), Result(fetch, gone, 1, now, now)]
        closed = await Closer(writer, worker, "run-1", "swiss").close(asked, Spending())
    finally:
        await writer.close()
    assert closed == 1
    assert world.details() == {
        ("A.SW", "prices_bulk"): ("failed", 1),
        (None, "dropped_requests"): ("success", 1),
    }
    assert world.value("SELECT consecutive_failures FROM asset_processing_state") == 1
