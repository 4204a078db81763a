"""A worker that is frozen in the middle of a closing transaction, replaced, and wakes up again."""

import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from collector_world import LAST, Owner, World, login
from market import Asset
from simulator_fixture import DATA_MOMENT, Simulator
from system_fixture import Database, PostgresServer

pytestmark = pytest.mark.integration

CODES = 6
WAITING = "wait_event_type = 'Lock'"
FROZEN = "state = 'idle in transaction'"


class Sessions:
    """The collectors' sessions on the server, as its administrator sees them."""

    def __init__(self, administrator: psycopg.Connection[Any], database: str) -> None:
        self._administrator, self._database = administrator, database

    def pids(self, which: str) -> list[int]:
        sessions = (
            "SELECT pid FROM pg_stat_activity WHERE datname = %s"
            " AND application_name LIKE 'screener-collect%%' AND "
        )
        rows = self._administrator.execute((sessions + which).encode(), [self._database])
        return [row[0] for row in rows.fetchall()]

    def end(self, which: str) -> None:
        for pid in self.pids(which):
            self._administrator.execute("SELECT pg_terminate_backend(%s)", [pid])


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    simulator.clock(data=DATA_MOMENT)
    with login(owner) as url:
        yield World(owner, url, simulator)


@pytest.fixture
def sessions(postgres_server: PostgresServer, database: Database) -> Iterator[Sessions]:
    with postgres_server.administrator() as administrator:
        yield Sessions(administrator, database.name)


def codes(simulator: Simulator, count: int = CODES) -> list[str]:
    listed = simulator.get("exchange-symbol-list/SW").json()
    stocks = {row["Code"] for row in listed if row["Type"] == "Common Stock"}
    traded = simulator.get("eod-bulk-last-day/SW", date=LAST.isoformat()).json()
    return sorted(row["code"] for row in traded if row["code"] in stocks)[:count]


@pytest.mark.parametrize("wakes", ["while it is replaced", "after its end"])
def test_a_worker_frozen_while_it_closes_stores_nothing_twice(
    world: World, sessions: Sessions, database: Database, wakes: str
) -> None:
    world.open()
    names = codes(world.simulator)
    world.add(*(Asset(code, "SW") for code in names))
    for code in names:
        world.plan(f"{code}.SW")
    with psycopg.connect(database.owner_url) as holder:
        holder.execute("SELECT FROM financial_screener.asset_processing_state FOR UPDATE")
        first = world.start("group", "swiss")
        world.until(lambda: sessions.pids(WAITING), "the first waits for the states")
        first.send_signal(signal.SIGSTOP)
        # Its lock is lost, as when its node is cut off; the closing connection is not.
        sessions.end("application_name LIKE '%% lock'")
    world.until(lambda: sessions.pids(FROZEN), "the frozen one holds the states")
    frozen = sessions.pids(FROZEN)

    second = world.start("group", "swiss")
    world.until(lambda: sessions.pids(WAITING), "the second waits for the states")
    if wakes == "while it is replaced":
        first.send_signal(signal.SIGCONT)
    else:
        # As idle_in_transaction_session_timeout does, after a minute.
        sessions.end(f"pid = ANY (ARRAY{frozen})")
    assert world.wait(second).code == 0
    first.send_signal(signal.SIGCONT)
    assert world.wait(first).code != 0, "without its lock it must not go on"

    assert set(world.items().values()) == {("succeeded", None)}
    newest = world.value("SELECT max(id) FROM workers")
    assert world.rows("SELECT DISTINCT worker_id, state FROM plan_fetches") == [
        {"worker_id": newest, "state": "done"}
    ], "the answers of the second count"
    assert world.value("SELECT count(*) FROM price_revision_blocks") == 0
    inserted = world.rows(
        "SELECT ticker, records_inserted AS bars FROM asset_processing_details"
        " WHERE ticker IS NOT NULL ORDER BY ticker"
    )
    stored = world.rows(
        "SELECT ticker, count(*) AS bars FROM stock_prices JOIN assets ON id = asset_id"
        " GROUP BY ticker ORDER BY ticker"
    )
    assert len(stored) == CODES
    assert inserted == stored


def test_a_worker_that_wakes_up_without_its_lock_asks_for_nothing_more(
    world: World, sessions: Sessions
) -> None:
    """What it has claimed and not sent is in its memory, and others have stored it meanwhile."""

    def asked() -> int:
        return len([each for each in world.simulator.admin("log") if each["endpoint"] == "eod"])

    world.open()
    names = codes(world.simulator, 40)
    world.add(*(Asset(code, "SW") for code in names))
    for code in names:
        world.plan(f"{code}.SW")
    world.simulator.admin("faults", [{"latency_s": 0.4, "count": 8}])
    first = world.start("group", "swiss")
    world.until(asked, "it has begun to ask")
    first.send_signal(signal.SIGSTOP)
    sessions.end("true")
    assert world.group().code == 0

    before = asked()
    first.send_signal(signal.SIGCONT)
    assert world.wait(first).code == 21
    assert asked() - before <= 1, "but for one that was being sent when it was frozen"
    assert set(world.items().values()) == {("succeeded", None)}
