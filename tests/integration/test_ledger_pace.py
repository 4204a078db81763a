"""A group's quota and pace against the simulator: others, midnight, refusals, a freeze."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from collector_world import FIRST, LAST, Owner, World, login
from market import Asset, add_sessions, set_quota
from simulator_fixture import DATA_MOMENT, Simulator

from screener_collector.pace import CEILING
from screener_operator.plan import GroupSpec, PlanRequest
from screener_operator.planning import plan_run

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def codes(_simulator_process: Simulator) -> list[str]:
    """Common stocks on SW and XETRA that traded on the first and the last day."""
    _simulator_process.reset()
    _simulator_process.clock(data=DATA_MOMENT)
    found = []
    for exchange in ("SW", "XETRA"):
        rows = _simulator_process.get(f"exchange-symbol-list/{exchange}").json()
        traded = [
            {
                row["code"]
                for row in _simulator_process.get(
                    f"eod-bulk-last-day/{exchange}", date=day.isoformat()
                ).json()
            }
            for day in (FIRST, LAST)
        ]
        stocks = {row["Code"] for row in rows if row["Type"] == "Common Stock"}
        found += [f"{code}.{exchange}" for code in sorted(stocks.intersection(*traded))]
    return found


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    simulator.clock(data=DATA_MOMENT)
    # These tests are about other limits than the minute's.
    simulator.admin("account", {"minuteLimit": 60_000})
    owner.execute(
        "INSERT INTO financial_screener.vendor_account (daily_limit, requests_per_minute)"
        " VALUES (100000, 60000)"
    )
    with login(owner) as url:
        yield World(owner, url, simulator)


def plan(world: World, tickers: list[str], **budget: int) -> None:
    world.open(**budget)  # type: ignore[arg-type]
    for ticker in tickers:
        world.add(Asset(*ticker.rsplit(".", 1)))
        world.plan(ticker)


def counter_readings(world: World) -> int:
    return sum(
        entry["path"].startswith("user") and entry["status"] == 200
        for entry in world.simulator.admin("log")
    )


@contextmanager
def watched(watch: Callable[[], None], every_s: float = 0.02) -> Iterator[None]:
    """Calls `watch` again and again meanwhile; what it raises is raised at the end."""
    ended, wrong = threading.Event(), []

    def run() -> None:
        while not ended.wait(every_s):
            try:
                watch()
            except BaseException as error:
                wrong.append(error)
                return

    thread = threading.Thread(target=run)
    thread.start()
    yield
    ended.set()
    thread.join()
    if wrong:
        raise wrong[0]


def test_where_others_use_the_key_the_counter_is_read_again(world: World, codes: list[str]) -> None:
    """Calls of others since the latest reading are the margin's, keepCalls, to bear."""
    plan(world, codes[:120], keep_calls=60)
    for ticker in codes[:120]:
        world.plan(ticker, "fundamentals")
    world.simulator.admin("account", {"used": 400, "dailyLimit": 1200})
    seen = {"used": 400}

    def others() -> None:
        calls = world.simulator.admin("account")["used"]
        if calls - seen["used"] >= 100 and calls < 1100:
            world.simulator.admin("account", {"used": calls + 10})
            seen["used"] = calls

    # As a preflight leaves it: others were seen.
    world.simulator.get("user")
    world.rows(
        "INSERT INTO api_daily_quota (day, calls_limit, calls_used, others_used, shared)"
        " VALUES (%s, 1200, 401, 400, true) RETURNING day",
        world.today,
    )
    readings = counter_readings(world)
    with watched(others, 0.05):
        assert world.group().code == 0

    assert counter_readings(world) - readings >= 1
    assert world.simulator.admin("account")["used"] <= 1200
    assert 402 not in {entry["status"] for entry in world.simulator.admin("log")}
    assert world.value("SELECT calls_used FROM api_daily_quota") >= seen["used"]
    read = world.value(
        "SELECT sum(api_calls_used) FROM asset_processing_details"
        " WHERE operation = 'counter_reading'"
    )
    assert read == counter_readings(world) - readings
    assert world.detailed() == world.logged()


@pytest.mark.parametrize(("use_extra", "calls"), [(False, 10), (True, 15)])
def test_purchased_calls_are_touched_only_where_the_run_may(
    world: World, codes: list[str], use_extra: bool, calls: int
) -> None:
    plan(world, codes[:20])
    world.owner.execute(
        "UPDATE financial_screener.execution_budgets SET use_extra = %s", (use_extra,)
    )
    world.simulator.admin("account", {"dailyLimit": 10, "extraLimit": 5})
    world.rows(
        "INSERT INTO api_daily_quota (day, calls_limit, extra_calls)"
        " VALUES (%s, 10, 5) RETURNING day",
        world.today,
    )

    assert world.group().code == 0

    assert world.simulator.calls() == calls
    assert world.simulator.admin("account")["extraLimit"] == 5 - (calls - 10)
    assert set(world.items().values()) == {("succeeded", None), ("deferred", "daily_limit")}


def test_a_preflight_learns_of_purchased_calls(world: World) -> None:
    world.simulator.admin("account", {"dailyLimit": 100, "extraLimit": 70, "used": 120})
    world.open(
        {"groups": [{"name": "g", "exchanges": ["SW"]}], "history": {"from": FIRST.isoformat()}}
    )
    world.owner.execute("UPDATE financial_screener.execution_budgets SET use_extra = true")

    world.preflight()

    assert world.value("SELECT extra_limit FROM vendor_account") == 70
    (quota,) = world.rows("SELECT calls_limit, extra_calls FROM api_daily_quota")
    # 20 calls more than the day's were used before.
    assert quota == {"calls_limit": 100, "extra_calls": 90}


def test_what_was_stored_before_the_calls_ran_out_is_not_asked_for_on_the_next_day(
    world: World, codes: list[str]
) -> None:
    """A first load whose calls end between the prices and the actions of its assets."""
    names = [code for code in codes if code.endswith(".SW")][:4]
    world.add(*(Asset(*name.rsplit(".", 1)) for name in names))
    add_sessions(world.owner, "SW", FIRST, LAST)
    morning = datetime(2023, 9, 20, 8, tzinfo=UTC)

    def run(execution_id: str, now: datetime, limit: int) -> list[dict[str, Any]]:
        world.open(execution_id=execution_id)
        world.owner.execute("DELETE FROM financial_screener.api_daily_quota")
        group = GroupSpec("swiss", ("SW",))
        set_quota(world.owner, now.date(), limit=100_000)
        plan_run(world.owner, PlanRequest(execution_id, (group,), ("prices",), FIRST), now)
        seen = len(world.simulator.arrivals())
        assert world.group(EODHD_DAILY_LIMIT=str(limit)).code == 0
        return world.simulator.arrivals(seen)

    def by_operation() -> dict[str, Counter[tuple[str, str | None]]]:
        found: dict[str, Counter[tuple[str, str | None]]] = {}
        for (_, operation), end in world.items().items():
            found.setdefault(operation, Counter())[end] += 1
        return found

    bars = "SELECT count(*), max(xmin::text::bigint) FROM stock_prices"
    done, left = ("succeeded", None), ("deferred", "daily_limit")
    assert Counter(entry["endpoint"] for entry in run("day-1", morning, 7))["eod"] == 4
    first = by_operation()
    assert first["prices_bulk"] == {done: 4}
    actions = first["splits"] + first["dividends"]
    assert actions == {done: 3, left: 5}
    assert world.value("SELECT reason FROM slices WHERE kind = 'group'") == "DailyLimitReached"
    stored = world.rows(bars)
    assert stored[0]["count"] > 0

    following = run("day-2", morning + timedelta(days=1), 1000)
    assert Counter(entry["endpoint"] for entry in following).keys() <= {"splits", "div"}
    assert len(following) == 5
    second = by_operation()
    assert second.pop("splits") + second.pop("dividends") == {done: 5}
    # An asset with nothing due has an item that says so.
    assert {state for ends in second.values() for state, _ in ends} <= {"skipped"}
    assert world.rows(bars) == stored


def test_a_full_minute_is_waited_for_and_no_fetch_fails(world: World, codes: list[str]) -> None:
    plan(world, codes[:40])
    world.simulator.admin("faults", [{"status": 429, "endpoint": "eod", "skip": 5, "count": 4}])

    assert world.group().code == 0

    assert set(world.items().values()) == {("succeeded", None)}
    refused = [entry for entry in world.simulator.admin("log") if entry["status"] == 429]
    assert len(refused) == 4
    world.assert_ledgers_agree()


def test_a_lower_limit_in_the_header_rules_at_once(world: World, codes: list[str]) -> None:
    plan(world, codes[:60])
    world.simulator.admin("account", {"minuteLimit": 600})
    # As after a busy minute, in which nothing may be sent before its time.
    world.rows(
        "INSERT INTO api_request_minutes (minute, requests_limit, used_before)"
        " SELECT date_trunc('minute', now() + clock_skew, 'UTC') + ahead * interval '1 minute',"
        " 58500, 58500 FROM vendor_account, generate_series(0, 5) AS ahead RETURNING minute"
    )

    began = time.monotonic()
    assert world.group().code == 0

    # Ten a second, but for the slots that the first answers came too late for, and those of one
    # and a half seconds that may be made up for. Nothing but waiting takes so long or longer.
    assert time.monotonic() - began > (60 - 20 - 15) / 10
    assert world.value("SELECT requests_per_minute FROM vendor_account") == 600
    assert world.value("SELECT max(requests_limit) FROM api_request_minutes") == 585
    assert 429 not in {entry["status"] for entry in world.simulator.admin("log")}


def test_maintenance_is_sat_out_and_no_asset_is_to_blame(world: World, codes: list[str]) -> None:
    plan(world, codes[:6])
    world.simulator.clock(accounting=f"{world.today + timedelta(days=1)}T05:40:00Z")
    world.simulator.admin(
        "faults",
        [
            {"endpoint": "eod", "symbol": codes[0], "status": 502, "count": 5},
            {"endpoint": "eod", "symbol": codes[1], "body": "<html>soon</html>", "count": 3},
            {"endpoint": "eod", "symbol": codes[2], "body": '"soon"'},
        ],
    )

    assert world.group().code == 0

    # At another time of day four tries, and two, would have been all.
    ends = world.items()
    assert ends.pop((codes[2], "prices_bulk")) == ("failed", "server_error")
    assert set(ends.values()) == {("succeeded", None)}
    assert world.value("SELECT max(consecutive_failures) FROM asset_processing_state") == 0


# -- midnight ---------------------------------------------------------------------


def test_a_run_goes_over_midnight_and_no_day_is_counted_short(
    world: World, codes: list[str]
) -> None:
    """The vendor's clock is scripted: 23:58, then midnight, then half a minute later."""
    plan(world, codes[:240])
    world.simulator.admin("faults", [{"latency_s": 0.1}])
    moments = iter([(60, "23:59:58"), (120, "00:00:31")])
    start = world.today
    world.simulator.clock(accounting=f"{start}T23:58:00Z")
    world.owner.execute(
        "UPDATE financial_screener.vendor_account SET clock_skew ="
        " ((%s::date + time '23:58') AT TIME ZONE 'UTC') - clock_timestamp()",
        (start,),
    )
    following = [next(moments)]

    def turn() -> None:
        if following and world.simulator.calls() >= following[0][0]:
            _, clock = following.pop()
            following.extend([each for each in [next(moments, None)] if each])
            day = start if clock > "12" else start + timedelta(days=1)
            world.simulator.clock(accounting=f"{day}T{clock}Z")

    with watched(turn):
        assert world.group().code == 0

    assert not following
    assert set(world.items().values()) == {("succeeded", None)}
    counted = {
        day: sum(use["calls"] for use in uses.values())
        for day, uses in world.simulator.usage().items()
    }
    assert len(counted) == 2
    days = {str(row["day"]): row for row in world.rows("SELECT * FROM api_daily_quota")}
    for day, calls in counted.items():
        assert days[day]["calls_used"] >= calls
    tomorrow = days[str(start + timedelta(days=1))]
    # What was charged to it before it began is taken back by a reading in it, but for what was
    # under way when the counter was read.
    assert tomorrow["vendor_read_at"] is not None
    assert tomorrow["calls_used"] - tomorrow["calls_returned"] <= (
        counted[str(start + timedelta(days=1))] + CEILING
    )


# -- a freeze ------------------------------------------------------------------------


def test_a_frozen_worker_that_wakes_up_sends_nothing_that_is_not_accounted_for(
    world: World, codes: list[str]
) -> None:
    """Its lock is lost and its claims are another's, and the day's calls are spent meanwhile."""
    plan(world, codes[:60])
    world.simulator.admin("faults", [{"latency_s": 0.2}])
    frozen = world.start("group", "swiss", EODHD_DAILY_LIMIT="70")
    world.until(lambda: world.simulator.calls() >= 10, "requests under way")
    frozen.send_signal(signal.SIGSTOP)
    world.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE 'screener-collect%%' AND datname = current_database()"
    )
    other = world.start("group", "swiss", EODHD_DAILY_LIMIT="70")

    def never_short() -> None:
        # The vendor's count first: ours may only be higher by then.
        vendors = world.simulator.calls()
        assert vendors <= world.value("SELECT max(calls_used) FROM api_daily_quota")

    with watched(never_short, 0.05):
        world.until(lambda: other.poll() is not None, "the other's end")
        frozen.send_signal(signal.SIGCONT)
        frozen.communicate(timeout=120)
    assert other.returncode == 0
    other.communicate()

    assert world.simulator.calls() <= 70
    assert 402 not in {entry["status"] for entry in world.simulator.admin("log")}
    assert {state for state, _ in world.items().values()} <= {"succeeded", "deferred"}
