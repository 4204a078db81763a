"""The newest bar to expect of an exchange: its calendar, its close, its publication delay."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from collector_world import Owner, World, login
from market import Asset, open_execution
from simulator_fixture import DATA_MOMENT, Simulator

from screener_operator.plan import GroupSpec, PlanRequest
from screener_operator.planning import plan_run

pytestmark = pytest.mark.integration

SEED = ["US", "LSE", "F", "XETRA", "PA", "AS", "BR", "LS", "MC", "SW"]


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    simulator.clock(data=DATA_MOMENT)
    with login(owner) as url:
        yield World(owner, url, simulator)


def spec(*exchanges: str, **more: object) -> dict[str, object]:
    group = {"name": "all", "exchanges": list(exchanges), "symbols": ["A"]}
    if len(exchanges) > 1:
        del group["symbols"]
    return {"groups": [group], "history": {"years": 6}, **more}


def notes(world: World) -> list[str]:
    found: list[str] = world.value(
        "SELECT notes FROM slices WHERE kind = 'preflight' AND execution_id = %s",
        world.execution_id,
    )
    return found


def flags(world: World, code: str) -> list[str]:
    found: list[str] = world.value("SELECT flags FROM exchanges WHERE code = %s", code)
    return found


def sessions(world: World, code: str) -> dict[date, datetime]:
    return {
        row["session"]: row["closes_at"]
        for row in world.rows(
            "SELECT session, closes_at FROM exchange_sessions JOIN exchanges ON id = exchange_id"
            " WHERE code = %s ORDER BY session",
            code,
        )
    }


def expected(world: World, now: datetime) -> dict[str, date]:
    """By exchange, what a run planned at `now` expects of its asset A."""
    name = f"at {now}"
    open_execution(world.owner, name)
    groups = (GroupSpec("all", tuple(SEED)),)
    plan_run(world.owner, PlanRequest(name, groups, ("prices",), date(2020, 12, 1)), now)
    return {
        row["code"]: row["expected_to"]
        for row in world.rows(
            "SELECT exchanges.code, expected_to FROM plan_items"
            " JOIN exchanges ON exchanges.id = exchange_id WHERE execution_id = %s"
            " AND operation = 'prices_bulk'",
            name,
        )
    }


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


MOMENTS: list[tuple[str, str, dict[str, str]]] = [
    (
        "2026-06-10 21:10",
        "a summer's evening: all of Europe but Frankfurt, and New York",
        dict.fromkeys(SEED, "2026-06-10") | {"F": "2026-06-09"},
    ),
    ("2026-06-10 23:10", "Frankfurt, which closes at 20:00 UTC", {"F": "2026-06-10"}),
    ("2026-06-10 20:59", "not yet New York's", {"US": "2026-06-09", "LSE": "2026-06-10"}),
    ("2026-01-14 21:59", "in winter New York closes an hour later", {"US": "2026-01-13"}),
    ("2026-01-14 22:01", "in winter New York is there at 22:00", {"US": "2026-01-14"}),
    ("2026-01-14 23:59", "in winter not yet Frankfurt's", {"F": "2026-01-13"}),
    ("2026-01-15 00:01", "in winter Frankfurt's is there at midnight", {"F": "2026-01-14"}),
    (
        "2026-03-16 21:01",
        "New York has summer time two weeks before Europe",
        {"US": "2026-03-16", "XETRA": "2026-03-16"},
    ),
    ("2026-03-16 19:31", "London has winter time still", {"LSE": "2026-03-16"}),
    ("2026-06-14 12:00", "a Sunday: Friday's", dict.fromkeys(SEED, "2026-06-12")),
    ("2025-11-28 19:01", "New York's half day is there in the afternoon", {"US": "2025-11-28"}),
    (
        "2025-12-24 18:00",
        "Christmas Eve: half days, and none in Germany and Zurich",
        {"LSE": "2025-12-24", "PA": "2025-12-24", "F": "2025-12-23", "SW": "2025-12-23"},
    ),
    ("2026-01-02 03:00", "the last session of a year", {"US": "2025-12-31", "F": "2025-12-30"}),
    ("2021-11-26 22:01", "before Frankfurt's late hours", {"F": "2021-11-26"}),
    ("2021-11-29 23:30", "their first day", {"F": "2021-11-26"}),
    ("2021-11-30 00:01", "their first day's bar", {"F": "2021-11-29"}),
]


def test_the_newest_bar_to_expect_on_real_days(world: World) -> None:
    world.simulator.admin("account", {"withdrawn": ["exchange-symbol-list", "exchange-details"]})
    world.add(*(Asset("A", code) for code in SEED))
    world.open(spec(*SEED))
    assert world.preflight().code == 0

    found = {text: expected(world, at(text)) for text, _, _ in MOMENTS}

    for text, why, wanted in MOMENTS:
        said = {code: str(found[text][code]) for code in wanted}
        assert said == wanted, (text, why)
    assert flags(world, "F") == []


def details(**more: Any) -> dict[str, Any]:
    return {
        "Name": "Somewhere",
        "Timezone": "Europe/Berlin",
        "TradingHours": {"Open": "09:00:00", "Close": "17:30:00", "WorkingDays": "Mon,Tue,Wed"},
    } | more


def serve(world: World, body: dict[str, Any]) -> None:
    fault = {"endpoint": "exchange-details", "body": json.dumps(body)}
    world.simulator.admin("faults", [fault])


def soon(known: dict[date, datetime]) -> date:
    """A session in some days."""
    today = datetime.now(UTC).date()
    return next(day for day in known if day > today + timedelta(days=3))


def test_details_add_a_closed_day_and_move_the_close(world: World) -> None:
    world.simulator.admin("account", {"withdrawn": ["exchange-details"]})
    world.open(spec("XETRA"))
    assert world.preflight().code == 0
    before = sessions(world, "XETRA")
    day = soon(before)
    closed = {"Holiday": "Mourning", "Date": str(day), "Type": "official"}
    bank = {"Holiday": "Bank", "Date": str(day + timedelta(days=1)), "Type": "bank"}
    world.simulator.admin("account", {"withdrawn": []})
    hours = {"Close": "18:15:00"}
    serve(world, details(TradingHours=hours, ExchangeHolidays={"0": closed, "1": bank}))
    world.open(spec("XETRA"), execution_id="run-2")

    assert world.preflight().code == 0

    after = sessions(world, "XETRA")
    assert set(before) - set(after) == {day} and set(after) <= set(before)
    today = datetime.now(UTC).date()
    moved = {each for each in after if after[each] != before[each]}
    assert moved and min(moved) >= today
    # All but half days, which stay as they were.
    assert all(after[each] - before[each] == timedelta(minutes=45) for each in moved)
    assert flags(world, "XETRA") == []
    # What was once known stays known, whatever the vendor has forgotten since.
    world.rows("UPDATE exchanges SET details_at = now() - interval '8 days' RETURNING id")
    serve(world, details(ExchangeHolidays=[]))
    world.open(spec("XETRA"), execution_id="run-3")
    assert world.preflight().code == 0
    assert set(sessions(world, "XETRA")) == set(after)
    assert flags(world, "XETRA") == ["no_holidays"]
    assert notes(world) == [
        "The vendor's details of XETRA have no holidays; those known before stay."
    ]


@pytest.mark.parametrize(
    ("body", "flag"),
    [
        pytest.param(details(Timezone="Asia/Tokyo"), "zone_contradicts_mic", id="another zone"),
        pytest.param(details(ExchangeHolidays={}), "no_holidays", id="an empty object"),
        pytest.param(details(ExchangeHolidays=[]), "no_holidays", id="an empty list"),
        pytest.param(
            details(
                ExchangeHolidays=[
                    {"Date": str(datetime.now(UTC).date() + timedelta(days=n)), "Type": "official"}
                    for n in range(40)
                ]
            ),
            "holidays_not_believed",
            id="forty days closed",
        ),
    ],
)
def test_doubtful_details_change_no_day_and_are_flagged(
    world: World, body: dict[str, Any], flag: str
) -> None:
    world.simulator.admin("account", {"withdrawn": ["exchange-details"]})
    world.open(spec("XETRA"))
    assert world.preflight().code == 0
    before = sessions(world, "XETRA")
    world.simulator.admin("account", {"withdrawn": []})
    serve(world, body)
    world.open(spec("XETRA"), execution_id="run-2")

    assert world.preflight().code == 0

    assert sessions(world, "XETRA") == before
    assert flags(world, "XETRA") == [flag]
    assert len(notes(world)) == 1


def test_an_exchange_without_a_known_calendar_goes_by_the_vendors_details(world: World) -> None:
    row = {"Code": "VI", "Name": "Vienna", "OperatingMIC": "XNOWHERE", "Currency": "PKR"}
    today = datetime.now(UTC).date()
    holiday = next(
        day for n in range(4, 20) if (day := today + timedelta(days=n)).weekday() in (0, 6)
    )
    hours = {"Open": "09:30:00", "Close": "15:30:00", "WorkingDays": "Sun,Mon,Tue,Wed,Thu"}
    body = details(
        Timezone="Asia/Karachi",
        TradingHours=hours,
        ExchangeHolidays=[{"Date": str(holiday), "Type": "Official", "Holiday": "Eid"}],
    )
    listed = {"Code": "A", "Type": "Common Stock", "Name": "A", "Currency": "PKR"}
    world.simulator.admin(
        "faults",
        [
            {"endpoint": "exchanges-list", "body": json.dumps([row])},
            {"endpoint": "exchange-symbol-list", "body": json.dumps([listed])},
            {"endpoint": "exchange-details", "body": json.dumps(body)},
        ],
    )
    world.open({"groups": [{"name": "all", "exchanges": ["VI"]}], "history": {"years": 1}})

    assert world.preflight().code == 0

    assert flags(world, "VI") == ["no_calendar"]
    assert notes(world) == [
        "No calendar of VI is known; weekdays and the vendor's details of it serve."
    ]
    found = sessions(world, "VI")
    assert {day.weekday() for day in found} == {6, 0, 1, 2, 3}
    assert holiday not in found
    assert {moment.time() for moment in found.values()} == {datetime(2026, 1, 1, 10, 30).time()}  # noqa: DTZ001
    assert world.value("SELECT time_zone FROM exchanges WHERE code = 'VI'") == "Asia/Karachi"
    assert world.value("SELECT count(*) FROM assets WHERE ticker = 'PKRUSD.FOREX'") == 1


def test_reference_series_are_no_group(world: World) -> None:
    world.open({"groups": [{"name": "all", "exchanges": ["INDX"]}], "history": {"years": 1}})

    assert world.preflight().code == 12

    assert "'INDX'" in world.value("SELECT message FROM slices WHERE kind = 'preflight'")
    assert world.used() == 0
