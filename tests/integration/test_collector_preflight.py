"""A run's preflight on real Postgres against the vendor simulator."""

import json
import signal
import time as time_
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import pytest
from collector_world import Owner, World, login
from market import Asset
from simulator_fixture import DATA_MOMENT, Simulator

pytestmark = pytest.mark.integration

HISTORY = {"years": 2}


def spec(*exchanges: str, symbols: list[str] | None = None, **more: object) -> dict[str, object]:
    group: dict[str, object] = {"name": "swiss", "exchanges": list(exchanges)}
    if symbols is not None:
        group["symbols"] = symbols
    return {"groups": [group], "history": HISTORY, **more}


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    simulator.clock(data=DATA_MOMENT)
    with login(owner) as url:
        yield World(owner, url, simulator)


def the_slice(world: World) -> dict[str, object]:
    (row,) = world.rows(
        "SELECT * FROM slices WHERE kind = 'preflight' AND execution_id = %s", world.execution_id
    )
    return row


def test_a_preflight_reads_the_counter_lists_and_details_and_knows_the_sessions(
    world: World,
) -> None:
    world.open(spec("SW"))

    assert world.preflight().code == 0

    assert the_slice(world)["finished_at"] is not None and the_slice(world)["reason"] is None
    assert world.details() == {
        (None, "preflight_user"): ("success", 1),
        (None, "preflight_symbols"): ("success", 1),
        (None, "preflight_details"): ("success", 5),
    }
    world.assert_ledgers_agree()
    vendor = world.simulator.get("exchange-symbol-list/SW").json()
    stocks = {row["Code"] for row in vendor if row["Type"] == "Common Stock"}
    assets = world.rows("SELECT * FROM assets WHERE kind = 'listing'")
    assert {row["code"] for row in assets} == stocks
    assert all(row["listed"] and row["ticker"] == f"{row['code']}.SW" for row in assets)
    assert world.value("SELECT count(*) FROM asset_processing_state") == len(stocks) + 2
    (exchange,) = world.rows("SELECT * FROM exchanges WHERE code = 'SW'")
    assert exchange["listed_at"] and exchange["details_at"]
    assert exchange["details"]["Code"] == "SW"
    today = datetime.now(UTC).date()
    span = world.rows("SELECT min(session), max(session) FROM exchange_sessions")[0]
    assert span["min"] <= today.replace(year=today.year - 2, day=min(today.day, 28))
    assert span["max"] > today
    (account,) = world.rows("SELECT * FROM vendor_account")
    assert (account["daily_limit"], account["requests_per_minute"]) == (100_000, 1000)
    world.assert_no_secret()


def test_a_second_preflight_of_a_day_asks_for_the_counter_alone(world: World) -> None:
    world.open(spec("SW"))
    world.preflight()
    world.open(spec("SW"), execution_id="run-2")

    assert world.preflight().code == 0

    assert set(world.details()) == {(None, "preflight_user")}
    world.assert_ledgers_agree()


def test_closes_are_known_in_utc_with_what_the_calendar_gets_wrong(world: World) -> None:
    world.open(spec("F", asOf="2023-09-19"))
    assert world.preflight().code == 0
    closes = world.value(
        "SELECT closes_at FROM exchange_sessions JOIN exchanges ON exchanges.id = exchange_id"
        " WHERE code = 'F' AND session = '2023-07-03'"
    )
    assert closes == datetime.combine(date(2023, 7, 3), time(20), UTC)


def test_a_symbol_that_no_list_has_is_an_asset_all_the_same(world: World) -> None:
    world.open(spec("US", symbols=["AAPL", "NOSUCH-X"]))

    assert world.preflight().code == 0

    assert world.rows("SELECT type, listed FROM assets WHERE code = 'NOSUCH-X'") == [
        {"type": None, "listed": True}
    ]
    assert world.value("SELECT type FROM assets WHERE code = 'AAPL'") == "Common Stock"


def test_the_demo_plan_serves_named_symbols_without_lists_and_details(world: World) -> None:
    world.simulator.admin("account", {"plan": "demo"})
    world.open(spec("US", symbols=["AAPL", "MSFT", "TSLA", "VTI"]))

    assert world.preflight().code == 0

    assert world.value("SELECT count(*) FROM assets WHERE kind = 'listing'") == 4
    assert the_slice(world)["notes"] == [
        "The vendor's plan does not include symbol lists; the named symbols are used.",
        "The vendor's plan does not include exchange details; the built-in calendars are used.",
    ]
    assert world.rows("SELECT endpoint, in_plan FROM vendor_endpoints ORDER BY 1") == [
        {"endpoint": "exchange-details", "in_plan": False},
        {"endpoint": "exchange-symbol-list", "in_plan": False},
    ]
    world.assert_ledgers_agree()


def test_a_list_that_the_plan_lacks_is_made_up_for_by_known_assets(world: World) -> None:
    world.simulator.admin("account", {"withdrawn": ["exchange-symbol-list"]})
    world.add(Asset("KNOWN", "SW"))
    world.open(spec("SW"))

    assert world.preflight().code == 0

    assert the_slice(world)["notes"] == [
        "The vendor's plan does not include symbol lists; the assets known so far are used."
    ]


def test_a_list_that_fails_leaves_out_its_exchange_and_no_other(world: World) -> None:
    world.simulator.admin(
        "faults", [{"endpoint": "exchange-symbol-list", "symbol": "F", "status": 500}]
    )
    world.open(spec("F", "SW"))

    assert world.preflight().code == 0

    assert world.rows(
        "SELECT DISTINCT code FROM exchanges WHERE kind = 'listings'"
        " AND id IN (SELECT exchange_id FROM assets)"
    ) == [{"code": "SW"}]
    assert the_slice(world)["notes"] == [
        "The vendor's symbol list of F could not be read; the exchange is left out of this run."
    ]
    assert the_slice(world)["finished_at"] is not None
    world.assert_ledgers_agree()


def test_without_list_symbols_or_assets_there_is_no_way(world: World) -> None:
    world.simulator.admin("account", {"withdrawn": ["exchange-symbol-list"]})
    world.open(spec("SW"))

    ended = world.preflight()

    assert ended.code == 11
    assert the_slice(world)["reason"] == "EndpointNotInPlan"
    assert "'SW'" in str(the_slice(world)["message"])
    assert the_slice(world)["finished_at"] is not None
    assert world.preflight().code == 11


def test_an_exchange_that_the_vendor_does_not_list_is_named(world: World) -> None:
    world.open(spec("SW", "XX"))

    ended = world.preflight()

    assert ended.code == 12
    assert the_slice(world)["reason"] == "InvalidSpec"
    assert the_slice(world)["message"] == (
        "spec.groups: exchange 'XX' is not one that the vendor lists"
    )
    assert world.value("SELECT count(*) FROM exchanges WHERE code = 'XX'") == 0
    world.assert_ledgers_agree()


def test_an_exchange_that_is_new_here_comes_with_its_calendar(world: World) -> None:
    listed = world.simulator.get("exchanges-list").json()
    known = {row["code"] for row in world.rows("SELECT code FROM exchanges")}
    new = [row for row in listed if row["Code"] not in known]
    world.simulator.reset()
    world.simulator.clock(data=DATA_MOMENT)
    if not new:
        body = json.dumps(
            [{"Code": "BUD", "Name": "Budapest", "OperatingMIC": "XBUD", "Currency": "HUF"}]
        )
        world.simulator.admin("faults", [{"endpoint": "exchanges-list", "body": body}])
        new = [{"Code": "BUD", "OperatingMIC": "XBUD"}]
    code = new[0]["Code"]
    world.open(spec(code, symbols=["SOME"]))

    assert world.preflight().code == 0

    (exchange,) = world.rows("SELECT * FROM exchanges WHERE code = %s", code)
    assert exchange["mic"] and exchange["currency"]
    assert (
        world.value("SELECT count(*) FROM exchange_sessions WHERE exchange_id = %s", exchange["id"])
        > 400
    )


def test_a_truncated_list_is_not_believed(world: World) -> None:
    world.open(spec("SW"))
    world.preflight()
    assets = world.value("SELECT count(*) FROM assets WHERE listed AND kind = 'listing'")
    world.owner.execute(
        "UPDATE financial_screener.exchanges SET listed_at = now() - interval '2 days'"
    )
    body = json.dumps([{"Code": "ABC", "Type": "Common Stock", "Name": "Abc"}])
    world.simulator.admin("faults", [{"endpoint": "exchange-symbol-list", "body": body}])
    world.open(spec("SW"), execution_id="run-2")

    assert world.preflight().code == 0

    assert world.value("SELECT count(*) FROM assets WHERE listed AND kind = 'listing'") == assets
    assert "was not believed" in str(the_slice(world)["notes"])


def test_an_asset_that_a_list_no_longer_has_is_unlisted_and_kept(world: World) -> None:
    world.add(Asset("LEFT", "SW"))
    world.open(spec("SW"))

    assert world.preflight().code == 0

    (asset,) = world.rows("SELECT listed, delisted_at FROM assets WHERE code = 'LEFT'")
    assert asset["listed"] is False and asset["delisted_at"] is not None


def test_a_refused_token_ends_the_run(world: World) -> None:
    world.open(spec("SW"))

    ended = world.preflight(EODHD_API_TOKEN="another.token")

    assert ended.code == 10
    assert the_slice(world)["reason"] == "TokenRefused"
    assert world.details() == {(None, "preflight_user"): ("failed", 0)}
    world.assert_ledgers_agree()


def test_calls_of_other_clients_are_seen_and_kept_off(world: World) -> None:
    world.simulator.admin("account", {"used": 90_000})
    world.open(spec("SW"))

    assert world.preflight(EODHD_DAILY_LIMIT="90004").code == 0

    (quota,) = world.rows("SELECT * FROM api_daily_quota")
    assert quota["calls_limit"] == 90_004
    assert (quota["vendor_used"], quota["others_used"], quota["shared"]) == (90_000, 89_999, True)
    # The counter and the list fit; the details would have taken the day beyond its limit.
    assert quota["calls_used"] == 90_002 == world.simulator.calls()
    assert the_slice(world)["reason"] == "DailyLimitReached"


def test_a_spent_day_ends_the_preflight_in_order(world: World) -> None:
    world.simulator.admin("account", {"used": 100_000})
    world.open(spec("SW", symbols=["NESN"]))

    assert world.preflight().code == 0

    assert the_slice(world)["reason"] == "DailyLimitReached"
    assert world.value("SELECT spent FROM api_daily_quota")
    # What costs no call is there: the symbols can be planned, and be deferred.
    assert world.value("SELECT count(*) FROM assets WHERE kind = 'listing'") == 1
    assert world.value("SELECT count(*) FROM exchange_sessions WHERE exchange_id = 10") > 400


def test_on_a_spent_day_nothing_more_is_asked(world: World) -> None:
    world.simulator.admin("account", {"used": 50})
    world.rows(
        "INSERT INTO api_daily_quota (day, calls_limit, spent)"
        " VALUES (%s, 100000, true) RETURNING day",
        world.today,
    )
    world.open(spec("SW", symbols=["NESN"]))

    assert world.preflight().code == 0

    assert world.simulator.admin("log") == []
    assert the_slice(world)["reason"] == "DailyLimitReached"


def test_what_a_killed_worker_had_leased_counts_for_the_rest_of_the_day(world: World) -> None:
    """It may only be frozen, and send when it wakes; so no reading says that it has ended."""
    world.open(spec("SW"))
    world.preflight()
    dead = world.value(
        "INSERT INTO workers (execution_id, slice, pod) VALUES ('run-1', 'x', 'y') RETURNING id"
    )
    world.rows("UPDATE api_daily_quota SET calls_used = calls_used + 100 RETURNING day")
    world.rows(
        "INSERT INTO api_leases (day, execution_id, worker_id, calls, calls_spent)"
        " VALUES (%s, 'run-1', %s, 100, 30) RETURNING id",
        world.today,
        dead,
    )
    assert world.used() > world.simulator.calls()
    world.open(spec("SW"), execution_id="run-2")

    assert world.preflight().code == 0

    assert world.used() == world.simulator.calls() + 70


def test_what_a_live_worker_may_still_spend_stays_reserved(world: World) -> None:
    world.open(spec("SW"))
    world.preflight()
    live = world.value(
        "INSERT INTO workers (execution_id, slice, pod) VALUES ('run-1', 'x', 'y') RETURNING id"
    )
    world.owner.execute("SELECT pg_advisory_lock(730001, %s)", (live,))
    world.rows("UPDATE api_daily_quota SET calls_used = calls_used + 100 RETURNING day")
    world.rows(
        "INSERT INTO api_leases (day, execution_id, worker_id, calls, calls_spent)"
        " VALUES (%s, 'run-1', %s, 100, 30) RETURNING id",
        world.today,
        live,
    )
    world.open(spec("SW"), execution_id="run-2")

    assert world.preflight().code == 0

    assert world.used() == world.simulator.calls() + 70
    assert world.value("SELECT closed_at FROM api_leases WHERE worker_id = %s", live) is None
    world.owner.execute("SELECT pg_advisory_unlock(730001, %s)", (live,))


def test_looks_whether_the_vendor_is_back_have_their_details_too(world: World) -> None:
    world.simulator.admin("faults", [{"endpoint": "user", "status": "cut", "count": 5}])
    world.open(spec("SW"))

    assert world.preflight().code == 0

    assert world.details()[None, "vendor_probe"] == ("success", 2)
    world.assert_ledgers_agree()


def test_told_to_end_a_preflight_accounts_for_what_was_under_way(world: World) -> None:
    world.simulator.admin("faults", [{"endpoint": "exchange-symbol-list", "latency_s": 30.0}])
    world.open(spec("SW"))
    process = world.start("preflight")
    world.until(
        lambda: world.value("SELECT count(*) FROM api_leases") == 2, "the list being asked for"
    )
    time_.sleep(0.5)
    process.send_signal(signal.SIGTERM)

    assert world.wait(process).code == 143

    assert world.details()[None, "dropped_requests"] == ("success", 1)
    assert world.detailed() == world.logged() == world.used() == 2
    assert world.value("SELECT count(*) FROM api_leases WHERE closed_at IS NULL") == 0


def test_yesterdays_counter_is_not_todays(world: World) -> None:
    """The vendor shows the last active day's until the first request of a new day was counted."""
    yesterday = world.noon - timedelta(days=1)
    world.simulator.clock(data=DATA_MOMENT, accounting=yesterday.isoformat())
    for _ in range(3):
        world.simulator.get("user")
    world.simulator.clock(accounting=world.noon.isoformat())
    world.open(spec("SW"))

    assert world.preflight().code == 0

    assert world.value("SELECT vendor_used FROM api_daily_quota") == 0
    assert world.used() == world.simulator.calls() - 3


def test_days_go_by_the_vendors_clock(world: World) -> None:
    """Its Date header says that another day is on there than by our clock."""
    ahead = world.noon + timedelta(hours=24)
    world.simulator.clock(data=DATA_MOMENT, accounting=ahead.isoformat())
    skew = ahead - datetime.now(UTC)
    world.open(spec("SW"))

    assert world.preflight().code == 0

    measured = world.value("SELECT clock_skew FROM vendor_account")
    assert abs(measured - skew) < timedelta(seconds=2)
    days = world.rows("SELECT day, vendor_read_at, calls_used FROM api_daily_quota ORDER BY day")
    assert [row["day"] for row in days] == [world.today, ahead.date()]
    # The first request was sent when the clock was not known yet, and counts on both days.
    assert days[0]["vendor_read_at"] is None
    assert days[1]["vendor_read_at"] is not None
    assert days[1]["calls_used"] == world.simulator.calls()
