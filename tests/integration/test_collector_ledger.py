"""The ledger on real Postgres: limits, midnight and readings, with the clock set by hand."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from threading import Thread
from typing import Any

import psycopg
import pytest
from collector_world import Owner, World, login
from market import Asset
from psycopg.rows import TupleRow, namedtuple_row
from simulator_fixture import Simulator

from screener_collector.closing import Closer
from screener_collector.ledger import Ledger
from screener_collector.store import Database, Leased, Reading, Store, connect_patiently
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


def lease(connection: psycopg.Connection[TupleRow], worker: int, calls: int, **other: Any) -> Any:
    """One lease, as the function returns it."""
    cursor = connection.cursor(row_factory=namedtuple_row)
    wanted = {"execution_id": "run-1", "worker_id": worker, "needed": calls, "wanted": calls}
    wanted |= {"requests": 1, "daily_limit": 5000, "for_reading": False, "new_day": False}
    return cursor.execute(query("collector/lease"), wanted | other).fetchone()


def set_vendor_time(world: World, day: date, clock: str) -> None:
    """By what Postgres knows of it the vendor's clock is at `clock` of the day, and runs on."""
    world.owner.execute(
        "INSERT INTO financial_screener.vendor_account (clock_skew)"
        " VALUES (((%s::date + %s::time) AT TIME ZONE 'UTC') - clock_timestamp())"
        " ON CONFLICT (only_row) DO UPDATE SET clock_skew = excluded.clock_skew",
        (day, clock),
    )


def used_by_day(world: World) -> dict[date, int]:
    return {
        row["day"]: row["calls_used"]
        for row in world.rows("SELECT day, calls_used FROM api_daily_quota")
    }


DAY, NEXT = date(2026, 3, 1), date(2026, 3, 2)


# -- one statement ----------------------------------------------------------------


def test_a_lease_and_a_return_never_wait_for_each_other(world: World) -> None:
    world.open()
    worker = add_worker(world)
    failures: list[BaseException] = []

    async def give_back() -> None:
        async with a_store(world, worker) as store:
            await store.return_leases([mine.day], [(mine.lease_id, 10, 0)])

    def in_thread() -> None:
        try:
            asyncio.run(give_back())
        except BaseException as error:
            failures.append(error)

    with psycopg.connect(world.url, autocommit=True) as first:
        mine = lease(first, worker, 50)

    def take() -> None:
        try:
            with psycopg.connect(world.url, autocommit=True) as second:
                lease(second, worker, 20)
        except BaseException as error:
            failures.append(error)

    def waiting(count: int) -> None:
        world.until(
            lambda: (
                world.value(
                    "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                    " WHERE NOT granted AND datname = current_database()"
                )
                == count
                or failures
            ),
            f"{count} that wait",
        )

    threads = [Thread(target=take), Thread(target=in_thread)]
    # The lease has the run and the day, and waits for the minute; the return waits for the run.
    with psycopg.connect(world.url) as other:
        other.execute("SELECT FROM financial_screener.api_request_minutes FOR UPDATE")
        for count, thread in enumerate(threads, 1):
            thread.start()
            waiting(count)
    for thread in threads:
        thread.join(30)

    assert failures == []
    assert world.used() == 30
    # Only a reading lowers it: what was given back is kept to be leased again.
    assert used_by_day(world) == {mine.day: 70}
    assert world.value("SELECT calls_used FROM execution_budgets") == 30


def failures_at_once(workers: Sequence[int], work: Callable[[int], None]) -> list[BaseException]:
    """What went wrong when each worker worked in a thread of its own."""
    failures: list[BaseException] = []

    def noted(worker: int) -> None:
        try:
            work(worker)
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=noted, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return failures


def test_eight_workers_lease_return_and_read_at_once_within_every_limit(world: World) -> None:
    world.open(max_calls=900)
    workers = [add_worker(world) for _ in range(8)]

    def work(worker: int) -> None:
        with psycopg.connect(world.url, autocommit=True) as mine:
            for turn in range(40):
                got = lease(mine, worker, 1 + worker % 3, wanted=7, requests=3)
                if got.outcome != "leased":
                    continue
                asyncio.run(settle(worker, got, turn))

    async def settle(worker: int, got: Any, turn: int) -> None:
        async with a_store(world, worker) as store:
            if turn % 4 == 0:
                await store.return_leases([got.day], [(got.lease_id, 1, 0)])
            elif turn % 7 == 0:
                before = await store.before_reading()
                await store.reconcile(Reading(before, 0, 1000, 0, 1000))

    assert failures_at_once(workers, work) == []
    (budget,) = world.rows("SELECT calls_used FROM execution_budgets")
    held = world.value("SELECT sum(calls) FILTER (WHERE closed_at IS NULL) FROM api_leases")
    spent = world.value("SELECT coalesce(sum(calls_spent), 0) FROM api_leases")
    assert budget["calls_used"] == held + spent <= 900
    for minute in world.rows("SELECT * FROM api_request_minutes"):
        assert minute["requests_used"] <= minute["requests_limit"]


def test_twenty_workers_at_once_use_the_days_calls_to_the_last_and_no_more(world: World) -> None:
    world.open()
    workers = [add_worker(world) for _ in range(20)]
    set_vendor_time(world, DAY, "12:00:00")
    outcomes: list[str] = []

    def work(worker: int) -> None:
        with psycopg.connect(world.url, autocommit=True) as mine:
            needed = 1 + worker % 3
            for _ in range(200):
                got = lease(mine, worker, needed, wanted=11, requests=0, daily_limit=1500)
                if got.outcome != "leased":
                    break
            outcomes.append(got.outcome)

    assert failures_at_once(workers, work) == []
    assert outcomes == ["daily_limit"] * 20
    assert used_by_day(world) == {DAY: 1500}
    leases = world.rows("SELECT worker_id, sum(calls) AS calls FROM api_leases GROUP BY 1")
    assert sum(row["calls"] for row in leases) == 1500
    assert len(leases) > 1, "one worker had them all"
    assert world.value("SELECT calls_used FROM execution_budgets") == 1500


def test_slots_after_a_full_minute_are_spread_and_no_two_are_alike(world: World) -> None:
    world.open()
    worker = add_worker(world)
    set_vendor_time(world, DAY, "12:00:30")
    world.owner.execute(
        "INSERT INTO financial_screener.api_request_minutes (minute, requests_limit, requests_used)"
        " VALUES (%s, 975, 975)",
        (datetime(2026, 3, 1, 11, 59, tzinfo=UTC),),
    )
    with psycopg.connect(world.url, autocommit=True) as mine:
        taken = [lease(mine, worker, 0, wanted=0, requests=100) for _ in range(12)]
    slots = [
        (got.minute, slot)
        for got in taken
        for slot in range(got.first_slot, got.first_slot + got.slots)
    ]
    assert len(slots) == len(set(slots))
    # Half of the minute has gone by, and its slots with it but for one in forty.
    first = taken[0]
    assert (first.minute_slots, first.minute.minute) == (975, 0)
    assert 975 * (0.5 - 0.025) - 1 <= first.first_slot <= 975 * (0.5 - 0.025) + 20
    # When they are all taken it goes on with the next minute's.
    assert taken[-1].minute.minute == 1 and sum(got.slots for got in taken) >= 1100


def used_at(got: Any) -> list[datetime]:
    """When the slots of a lease may be used first, by the vendor's clock."""
    return [
        max(
            got.told_at + got.clock_skew,
            got.minute + timedelta(minutes=1) * slot / got.minute_slots,
        )
        for slot in range(got.first_slot, got.first_slot + got.slots)
    ]


@pytest.mark.parametrize("clock", ["12:00:01", "12:00:30", "12:00:59"])
def test_the_first_requests_of_a_quiet_system_do_not_wait(world: World, clock: str) -> None:
    world.open()
    worker = add_worker(world)
    set_vendor_time(world, DAY, clock)
    # The database's clock runs on meanwhile, and is not to reach the next minute.
    requests, times = (300, 3) if clock < "12:00:59" else (900, 1)
    with psycopg.connect(world.url, autocommit=True) as mine:
        for _ in range(times):
            got = lease(mine, worker, 0, wanted=0, requests=requests)
            assert used_at(got) == [got.told_at + got.clock_skew] * requests
        # With the minute's last; those after them wait until a minute has passed since.
        late = lease(mine, worker, 0, wanted=0, requests=300)
        last = lease(mine, worker, 0, wanted=0, requests=300)
    assert late.slots == 75
    assert min(used_at(last)) - (got.told_at + got.clock_skew) > timedelta(seconds=57)


@pytest.mark.parametrize("seed", range(4))
def test_no_minute_wherever_it_begins_has_more_than_the_vendor_allows(
    world: World, seed: int
) -> None:
    world.open()
    worker = add_worker(world)
    chance = random.Random(seed)
    sent: list[datetime] = []
    second = 0.0
    with psycopg.connect(world.url, autocommit=True) as mine:
        while second < 290:
            set_vendor_time(world, DAY, f"12:{int(second) // 60:02}:{second % 60:09.6f}")
            for _ in range(chance.choice([1, 2, 10, 30])):
                sent += used_at(lease(mine, worker, 0, wanted=0, requests=chance.choice([5, 40])))
            second += chance.choice([0.5, 2, 5, 20])
    sent.sort()
    first = 0
    for last, moment in enumerate(sent):
        while sent[first] <= moment - timedelta(minutes=1):
            first += 1
        assert last - first + 1 <= 1000
    assert len(sent) > 1500


def test_a_lower_limit_of_the_vendor_holds_from_the_present_minute_on(world: World) -> None:
    world.open()
    worker = add_worker(world)
    with psycopg.connect(world.url, autocommit=True) as mine:
        lease(mine, worker, 1)
        mine.execute(query("collector/set_requests_per_minute"), {"requests_per_minute": 80})
        got = lease(mine, worker, 1, requests=200)
    assert (got.minute_slots, got.requests_per_minute) == (78, 80)
    assert got.slots <= 78


def set_requests_per_minute(world: World, limit: int) -> None:
    with psycopg.connect(world.url, autocommit=True) as mine:
        mine.execute(query("collector/set_requests_per_minute"), {"requests_per_minute": limit})


def test_the_next_slot_keeps_its_time_when_the_limit_is_lowered(world: World) -> None:
    """Slots go on evenly from where they were, neither before it nor minutes later."""
    world.open()
    worker = add_worker(world)
    set_vendor_time(world, DAY, "12:00:30")
    set_requests_per_minute(world, 60_000)
    # The minute before was full, so each slot is for its time.
    world.owner.execute(
        "INSERT INTO financial_screener.api_request_minutes (minute, requests_limit, requests_used)"
        " VALUES (%s, 58500, 58500)",
        (datetime(2026, 3, 1, 11, 59, tzinfo=UTC),),
    )
    with psycopg.connect(world.url, autocommit=True) as mine:
        fast = lease(mine, worker, 0, wanted=0, requests=20)
        set_requests_per_minute(world, 600)
        slow = [lease(mine, worker, 0, wanted=0, requests=20) for _ in range(3)]
    assert {(got.minute, got.minute_slots) for got in slow} == {(fast.minute, 585)}
    last = fast.minute + timedelta(minutes=1) * (fast.first_slot + 19) / 58500
    slots = [slot for got in slow for slot in range(got.first_slot, got.first_slot + got.slots)]
    assert slots == sorted(set(slots)) and len(slots) == 60
    assert last <= fast.minute + timedelta(minutes=1) * slots[0] / 585


def test_what_was_used_under_a_higher_limit_counts_under_the_lower(world: World) -> None:
    world.open()
    worker = add_worker(world)
    set_vendor_time(world, DAY, "12:00:05")
    with psycopg.connect(world.url, autocommit=True) as mine:
        early = lease(mine, worker, 0, wanted=0, requests=500)
        set_requests_per_minute(world, 600)
        late = [lease(mine, worker, 0, wanted=0, requests=40) for _ in range(5)]
    assert early.slots == 500
    assert sum(got.slots for got in late if got.minute == early.minute) == 585 - 500
    # What does not fit is for the minute after, and no later one.
    assert {got.minute - early.minute for got in late} == {
        timedelta(minutes=0),
        timedelta(minutes=1),
    }


@pytest.mark.parametrize("learnt", ["between two leases", "while one is made"])
async def test_slots_of_a_limit_that_is_no_more_are_not_used(world: World, learnt: str) -> None:
    world.open()
    worker = add_worker(world)
    set_vendor_time(world, DAY, "12:00:05")
    leased: list[int] = []

    class Watched(Store):
        async def lease(self, **wanted: Any) -> Leased:
            got = await super().lease(**wanted)
            leased.append(got.requests_per_minute)
            if learnt == "while one is made" and len(leased) == 1:
                await mine.see_requests_per_minute(600)
            return got

    database = Database(await connect_patiently(world.url, "a ledger's test"))
    try:
        store = Watched(database, worker, "run-1", SliceKind.GROUP, "swiss")
        mine = Ledger(store, 1000, ahead=lambda count: [1] * count)
        await mine.set_clock()
        mine.settle(await mine.reserve("eod", 1), 1, error=False)
        await mine.see_requests_per_minute(600)
        mine.settle(await mine.reserve("eod", 1), 1, error=False)
        await mine.give_back()
    finally:
        await database.close()
    assert leased == [1000, 600]


# -- midnight ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clock", "day", "also_day"),
    [
        pytest.param("23:56:28", DAY, None, id="its answer comes before 23:59:30"),
        pytest.param("23:56:31", NEXT, DAY, id="it may be under way at 23:59:30"),
        pytest.param("23:59:59", NEXT, DAY, id="a second before midnight"),
    ],
)
def test_what_may_be_under_way_at_midnight_is_charged_to_both_days(
    world: World, clock: str, day: date, also_day: date | None
) -> None:
    world.open()
    worker = add_worker(world)
    set_vendor_time(world, DAY, clock)
    with psycopg.connect(world.url, autocommit=True) as mine:
        got = lease(mine, worker, 5)
    assert (got.day, got.also_day) == (day, also_day)
    assert used_by_day(world) == {each: 5 for each in (day, also_day) if each}
    assert world.value("SELECT calls_used FROM execution_budgets") == 5


def test_half_a_minute_into_the_day_a_lease_names_it_alone(world: World) -> None:
    world.open()
    worker = add_worker(world)
    with psycopg.connect(world.url, autocommit=True) as mine:
        set_vendor_time(world, NEXT, "00:00:28")
        early = lease(mine, worker, 5)
        set_vendor_time(world, NEXT, "00:00:31")
        late = lease(mine, worker, 5)
    assert (early.day, early.also_day) == (NEXT, DAY)
    assert (late.day, late.also_day) == (NEXT, None)
    assert early.valid_until == datetime(2026, 3, 2, 0, 0, 30, tzinfo=UTC)
    assert late.valid_until == datetime(2026, 3, 2, 23, 56, 30, tzinfo=UTC)


def test_what_was_under_way_when_a_day_began_counts_on_it_too(world: World) -> None:
    """A frozen worker may wake up after midnight and send what it leased before."""
    world.open()
    frozen, living = add_worker(world), add_worker(world)
    with psycopg.connect(world.url, autocommit=True) as mine:
        set_vendor_time(world, DAY, "12:00:00")
        held = lease(mine, frozen, 30)
        mine.execute(
            query("collector/spend_leases"), {"ids": [held.lease_id], "spent": [4], "unknown": [1]}
        )
        set_vendor_time(world, NEXT, "12:00:00")
        lease(mine, living, 5)
    assert used_by_day(world) == {DAY: 30, NEXT: 27 + 5}


def test_a_limit_of_either_day_refuses_what_is_charged_to_both(world: World) -> None:
    world.open()
    worker = add_worker(world)
    with psycopg.connect(world.url, autocommit=True) as mine:
        set_vendor_time(world, DAY, "12:00:00")
        lease(mine, worker, 8)
        set_vendor_time(world, DAY, "23:58:00")
        assert lease(mine, worker, 3).outcome == "leased"
        before = used_by_day(world)
        world.owner.execute(
            "UPDATE financial_screener.api_daily_quota SET calls_limit = 12 WHERE day = %s", (DAY,)
        )
        assert lease(mine, worker, 2).outcome == "daily_limit"
    assert used_by_day(world) == before


async def test_a_worker_crosses_midnight_under_the_new_days_budget(world: World) -> None:
    """Its old lease is void, and what was left of it is given back to the run."""
    world.open()
    worker = add_worker(world)
    reads: list[date] = []
    async with a_store(world, worker) as store:
        mine = Ledger(store, 1000, ahead=lambda count: [1] * 10)

        async def read() -> None:
            reads.append(mine.vendor_now().date())

        mine.read_counter = read
        await mine.set_clock()
        set_vendor_time(world, DAY, "23:50:00")
        days = []
        for clock in ("23:50:00", "23:58:00", "00:00:31"):
            day = NEXT if clock < "12" else DAY
            set_vendor_time(world, day, clock)
            skew = world.value("SELECT clock_skew FROM vendor_account")
            now = mine.now()
            moment = now + skew
            await mine.see_date(moment.replace(microsecond=0), now, now)
            reservation = await mine.reserve("eod", 1)
            mine.settle(reservation, 1, error=False)
            days.append(reservation.day)
        await mine.reserve("eod", 1)
        await asyncio.sleep(0)
        await mine.stop_reading()
        await mine.give_back()
    assert days == [DAY, DAY, NEXT]
    assert reads == [NEXT]
    leases = world.rows("SELECT day, also_day, calls, calls_spent FROM api_leases ORDER BY id")
    assert [(row["day"], row["also_day"]) for row in leases] == [
        (DAY, None),
        (NEXT, DAY),
        (NEXT, None),
    ]
    assert [row["calls_spent"] for row in leases] == [1, 1, 2]
    assert world.value("SELECT calls_used FROM execution_budgets") == 4


# -- readings -----------------------------------------------------------------------


def read_counter(world: World, worker: int, shown: int, between: Callable[[], None]) -> None:
    """A reading that shows `shown`; `between` happens while it is under way."""

    async def read() -> None:
        async with a_store(world, worker) as store:
            before = await store.before_reading()
            between()
            await store.reconcile(Reading(before, shown, 5000, 0, 5000))

    asyncio.run(read())


def test_a_reading_adds_what_was_reserved_since_or_not_known_to_be_finished(world: World) -> None:
    world.open()
    worker = add_worker(world)
    with psycopg.connect(world.url, autocommit=True) as mine:
        done, under_way, unseen = (lease(mine, worker, 10) for _ in range(3))
        spend = query("collector/spend_leases")
        mine.execute(
            spend,
            {
                "ids": [done.lease_id, under_way.lease_id, unseen.lease_id],
                "spent": [10, 4, 10],
                "unknown": [0, 0, 3],
            },
        )

        def between() -> None:
            lease(mine, worker, 7)
            mine.execute(spend, {"ids": [under_way.lease_id], "spent": [6], "unknown": [0]})

        read_counter(world, worker, 21, between)
    # 6 that were not finished, 3 of which no end was seen, 7 reserved since.
    assert world.value("SELECT calls_used FROM api_daily_quota") == 21 + 6 + 3 + 7


def test_a_reading_that_comes_too_late_changes_nothing(world: World) -> None:
    world.open()
    worker = add_worker(world)
    with psycopg.connect(world.url, autocommit=True) as mine:
        lease(mine, worker, 10)

    def in_between() -> None:
        later = Thread(target=read_counter, args=(world, worker, 300, lambda: None))
        later.start()
        later.join()

    read_counter(world, worker, 100, in_between)
    assert world.value("SELECT vendor_used FROM api_daily_quota") == 300


def test_where_others_use_the_key_no_more_than_500_calls_go_without_a_reading(
    world: World,
) -> None:
    world.open()
    reader, other = add_worker(world), add_worker(world)
    with psycopg.connect(world.url, autocommit=True) as mine:
        lease(mine, other, 10)
        read_counter(world, reader, 200, lambda: None)
        assert world.value("SELECT shared FROM api_daily_quota")
        asked = []
        for worker in (other, other, reader, other, other):
            got = lease(mine, worker, 100)
            asked.append((got.outcome, got.read_counter))
        # From 300 on one worker reads, and the others go on; at 500 they wait for it.
        assert asked == [
            ("leased", False),
            ("leased", False),
            ("leased", False),
            ("leased", True),
            ("leased", False),
        ]
        assert lease(mine, reader, 1).outcome == "reading_due"
        assert lease(mine, reader, 1, for_reading=True).outcome == "leased"
        read_counter(world, reader, 800, lambda: None)
        assert lease(mine, reader, 1).outcome == "leased"


def test_a_readers_death_makes_another_worker_read(world: World) -> None:
    world.open()
    dead, other = add_worker(world), add_worker(world)
    with psycopg.connect(world.url, autocommit=True) as mine:
        lease(mine, other, 1)
        read_counter(world, dead, 200, lambda: None)
        assert lease(mine, dead, 450).read_counter
        due = lease(mine, other, 100)
    assert (due.outcome, due.read_counter) == ("reading_due", True)


def test_purchased_calls_are_for_runs_that_may_use_them(world: World) -> None:
    world.open()
    world.owner.execute(
        "INSERT INTO financial_screener.execution_budgets (execution_id, use_extra)"
        " VALUES ('run-2', true)"
    )
    worker = add_worker(world)

    async def read() -> None:
        async with a_store(world, worker) as store:
            before = await store.before_reading()
            await store.reconcile(Reading(before, 95, 100, 50, 1000))

    with psycopg.connect(world.url, autocommit=True) as mine:
        lease(mine, worker, 0, wanted=1)
        asyncio.run(read())
        left = {
            run: lease(mine, worker, 1, wanted=1000, execution_id=run).calls
            for run in ("run-1", "run-2")
        }
        assert lease(mine, worker, 1).outcome == "daily_limit"
    assert left == {"run-1": 100 - 95 - 1, "run-2": 50}


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
