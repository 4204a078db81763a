"""What the world does to a request, and which row of the table of faults it is, tried and charged
as that row says; asked of the simulator by the vendor's client itself."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from collector_world import FIRST, LAST, Owner, World, login
from simulator_fixture import DATA_MOMENT, Simulator

from screener_collector import endpoints
from screener_collector.answers import TABLE, Symptom
from screener_collector.ledger import Ledger
from screener_collector.store import Database, Store, connect_patiently
from screener_collector.vendor import Reply, Vendor
from screener_sql.model import SliceKind

pytestmark = pytest.mark.integration

NOBODY = "http://127.0.0.1:9/api"
"""Port 9 is for what is thrown away; nothing listens there."""


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    simulator.clock(data=DATA_MOMENT)
    simulator.admin("account", {"minuteLimit": 60_000})
    with login(owner) as url:
        world = World(owner, url, simulator)
        world.open()
        yield world


@asynccontextmanager
async def a_vendor(world: World, base_url: str, waits: list[bool]) -> AsyncIterator[Vendor]:
    """A client with a ledger of its own; `waits` hears of a vendor that is away."""
    worker = world.value(
        "INSERT INTO workers (execution_id, slice, pod) VALUES ('run-1', 'swiss', 'x') RETURNING id"
    )
    database = Database(await connect_patiently(world.url, "a vendor's test"))
    ledger = Ledger(Store(database, worker, "run-1", SliceKind.GROUP, "swiss"), 1000)
    await ledger.set_clock()

    async def on_waiting(is_away: bool) -> None:
        waits.append(is_away)

    vendor = Vendor.connect(base_url, world.simulator.token, ledger, on_waiting)
    try:
        yield vendor
    finally:
        await vendor.close()
        await database.close()


def arrivals(world: World) -> int:
    """Of histories."""
    return len([each for each in world.simulator.arrivals() if each["endpoint"] == "eod"])


def assert_is(reply: Reply, symptom: Symptom, world: World, vendor: Vendor) -> None:
    """A request of one call ended by this row: its words, tries, cost and error code."""
    row, times = TABLE[symptom], TABLE[symptom].tries.times
    says = reply.judged.message if reply.judged else reply.message
    assert says is not None and says.startswith(row.says)
    assert reply.judged is None or reply.judged.symptom is symptom
    assert reply.error_code is (None if reply.judged else row.error_code)
    assert reply.calls == times * row.calls(1)
    assert arrivals(world) == times
    # Of what has no end that was seen, nothing is ever taken back.
    unknown = sum(lease[2] for lease in vendor.ledger.spending().leases)
    assert unknown == (times if symptom is Symptom.SILENT else 0)


def eod(world: World) -> endpoints.Endpoint:
    row = world.simulator.get("exchange-symbol-list/SW").json()[0]
    return endpoints.eod(f"{row['Code']}.SW", FIRST, LAST)


FAULTS = [
    pytest.param({"latency_s": 3600.0}, Symptom.SILENT, id="it does not answer"),
    pytest.param({"status": "cut"}, Symptom.CUT, id="it ends the connection"),
    pytest.param({"cut_after": 0.5}, Symptom.CUT, id="it ends in the middle of the body"),
    pytest.param(
        {"headers": {"Content-Encoding": "gzip"}}, Symptom.CUT, id="a body that does not unpack"
    ),
    pytest.param({}, Symptom.TOO_LARGE, id="a body larger than any"),
]


@pytest.mark.parametrize(("fault", "symptom"), FAULTS)
async def test_what_the_vendor_does_is_the_row_of_the_table(
    world: World, fault: dict[str, object], symptom: Symptom
) -> None:
    waits: list[bool] = []
    async with a_vendor(world, world.simulator.url, waits) as vendor:
        asked = eod(world)
        if symptom is Symptom.SILENT:
            vendor.answer_timeout_s = 3.0
        if symptom is Symptom.TOO_LARGE:
            vendor.max_body_bytes = 1000
        world.simulator.admin("faults", [{"endpoint": "eod", **fault}])

        reply = await vendor.ask(asked)

        assert_is(reply, symptom, world, vendor)
        # It answers others, so it is not away.
        assert waits == []
    world.simulator.admin("faults", {})


async def test_a_vendor_that_cannot_be_reached_costs_nothing_and_is_waited_for(
    world: World,
) -> None:
    waits: list[bool] = []
    async with (
        a_vendor(world, NOBODY, waits) as vendor,
        a_vendor(world, world.simulator.url, []) as alive,
    ):
        vendor.first_wait_s = 0.01
        asked, before = eod(world), world.simulator.calls()

        async def comes_back(is_away: bool) -> None:
            waits.append(is_away)
            vendor.clients = alive.clients if is_away else vendor.clients

        dead = vendor.clients
        vendor.on_waiting = comes_back
        reply = await vendor.ask(asked)

        assert waits == [True, False]
        assert reply.judged is not None and reply.judged.symptom is Symptom.DATA
        # Four tries and a look in vain, then the look that was answered, and the request.
        assert (reply.calls, arrivals(world)) == (1, 1)
        usage = vendor.ledger.spending().usage.values()
        assert sum(each.errors for each in usage) == TABLE[Symptom.UNREACHABLE].tries.times + 1
        assert sum(each.calls for each in usage) == world.simulator.calls() - before
        for client in dead:
            await client.aclose()


@pytest.mark.parametrize("status", [429, 503])
async def test_what_is_refused_or_fails_halves_how_much_is_asked_for_at_once(
    world: World, status: int
) -> None:
    async with a_vendor(world, world.simulator.url, []) as vendor:
        asked, pace = eod(world), vendor.gate.pace
        before = pace.limit
        world.simulator.admin("faults", [{"endpoint": "eod", "status": status, "count": 1}])

        reply = await vendor.ask(asked)

        assert reply.judged is not None and reply.judged.symptom is Symptom.DATA
        assert (pace.limit, arrivals(world)) == (before // 2, 2)
        # With as many good answers as it lets through at once, the one above among them, one more.
        for _ in range(before // 2 - 1):
            assert pace.limit == before // 2
            await vendor.ask(asked)
        assert pace.limit == before // 2 + 1
    world.simulator.admin("faults", {})
