"""A year of sessions: at its end every bar is what the vendor published last, or set aside by the
right rule.
"""

import os
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from simulator_fixture import Simulator
from system_fixture import Database
from year_world import Year, shared_tls_context

pytestmark = pytest.mark.integration

SESSIONS = int(os.environ.get("YEAR_SESSIONS", "260"))
SEED = int(os.environ.get("YEAR_SEED", "5"))
QUIET = min(30, SESSIONS // 2)
"""Sessions at the end in which nothing new happens: histories are refetched within 30 days."""
FIRST, BEGIN = date(2022, 12, 1), datetime(2023, 1, 3, 6, tzinfo=UTC)
FUNDS = tuple(f"ZZ{letter}" for letter in "ABCDEFGH")
"""What is collected: few, listed by an event each. Each lives through two things, far apart."""
HOURS = 12.0
"""After publication: the next morning, when the session's actions are listed."""


def known(code: str) -> dict[str, str]:
    """What a list tells of a fund, whatever its code becomes."""
    return {"Type": "ETF", "Name": f"Fund {code}", "Isin": f"IE00{code:0>8}"}


def happenings(simulator: Simulator, seed: int) -> list[dict[str, Any]]:
    """What goes wrong and what happens in the year, from a seed."""
    dice = random.Random(seed)
    codes = list(FUNDS)
    year = simulator.admin("published?exchange=IR&from=2023-01-03&to=2024-02-15")
    days = year["sessions"][5 : SESSIONS - QUIET]
    dice.shuffle(codes)
    a, b, c, d, e, f, g, h = (f"{code}.IR" for code in codes)

    def early() -> str:
        return str(dice.choice(days[: len(days) * 2 // 5]))

    def late() -> str:
        return str(dice.choice(days[len(days) * 3 // 5 :]))

    def after(day: str, sessions: int) -> str:
        return str(year["sessions"][year["sessions"].index(day) + sessions])

    listed = FIRST - timedelta(days=30)
    switched, cut = late(), late()
    events: list[dict[str, Any]] = [
        *(
            {"kind": "listing", "ticker": f"{code}.IR", "on": str(listed), "set": known(code)}
            for code in FUNDS
        ),
        {"kind": "late", "exchange": "IR", "session": early(), "hours": 20},
        {"kind": "partial", "exchange": "IR", "session": late(), "share": 0.4, "hours": 20},
        {"kind": "missing", "ticker": a, "session": early(), "hours": 60},
        {
            "kind": "unit", "ticker": a, "from": switched, "to": after(switched, 1), "factor": 100,
            "until": f"{after(switched, 12)}T00:00:00Z",
        },
        {"kind": "missing", "ticker": b, "session": early(), "hours": None},
        {"kind": "split", "ticker": b, "session": late(), "ratio": "4/1"},
        {"kind": "bar", "ticker": c, "session": early(), "set": {"low": 0}},
        {"kind": "split", "ticker": c, "session": late(), "ratio": "1/10"},
        {"kind": "bar", "ticker": d, "session": early(), "set": {"volume": -5}},
        {
            "kind": "split", "ticker": d, "session": late(), "ratio": "2/1",
            "list_hours": 30, "adjust_hours": 60,
        },
        {"kind": "dividend", "ticker": e, "session": early(), "yield": 0.03},
        {"kind": "delisting", "ticker": e, "on": late()},
        {
            "kind": "dividend", "ticker": f, "session": early(), "yield": 0.05,
            "list_hours": 40, "adjust_hours": 20,
        },
        {"kind": "delisting", "ticker": f, "on": late(), "gone": True},
        {
            "kind": "volume", "ticker": g, "from": days[0], "to": days[len(days) // 2],
            "factor": 0.7, "hours": 30,
        },
        {"kind": "rename", "ticker": g, "on": late(), "code": "ZZREN"},
        {"kind": "reuse", "ticker": h, "on": late(), "set": known("ZZTWO")},
        {"kind": "listing", "ticker": "ZZNEW.IR", "on": early(), "set": known("ZZNEW")},
        {
            "kind": "list_truncated", "exchange": "IR", "share": 0.2,
            "from": f"{cut}T00:00:00Z", "until": f"{after(cut, 2)}T00:00:00Z",
        },
    ]  # fmt: skip
    answers: list[dict[str, Any]] = [
        {"status": 503, "probability": 0.004},
        {"status": "cut", "probability": 0.003},
        {"endpoint": ["eod", "splits", "div"], "wrong": "html", "probability": 0.002},
        {"endpoint": ["eod", "splits", "div"], "wrong": "truncated", "probability": 0.002},
        {"endpoint": ["eod"], "wrong": "empty_list", "probability": 0.002},
    ]
    return [*events, *answers]


RULES = {"low": "price_not_positive", "volume": "volume_invalid"}


async def test_a_year_ends_with_what_the_vendor_published_last(
    database: Database, simulator: Simulator
) -> None:
    year = Year(
        database,
        simulator,
        {
            "groups": [{"name": "dublin", "exchanges": ["IR"]}],
            "operations": ["prices"],
            "assetTypes": ["ETF"],
            "history": {"from": FIRST.isoformat()},
            "indicators": False,
        },
        "IR",
    )
    simulator.clock(data="2024-03-01T00:00:00Z")
    script = happenings(simulator, SEED)
    year.begin(BEGIN)
    simulator.admin("faults", {"seed": SEED, "faults": script})
    with shared_tls_context():
        for _ in range(SESSIONS):
            await year.next_session(HOURS)
    assert_met(year, script)
    wrong = differences(year, script)
    assert not wrong, "\n".join([f"{len(wrong)} bars", *wrong[:60]])


def spoilt_bars(script: list[dict[str, Any]]) -> dict[tuple[str, date], str]:
    """By ticker and session the rule that each bar breaks which the script spoils for good."""
    return {
        (event["ticker"], date.fromisoformat(event["session"])): RULES[next(iter(event["set"]))]
        for event in script
        if event.get("kind") == "bar"
    }


def assert_met(year: Year, script: list[dict[str, Any]]) -> None:
    """The year was lived through: there is something to compare, and what the script does to it
    was seen."""
    bars = year.rows(
        "SELECT ticker, count(*) AS bars FROM stock_prices JOIN assets ON assets.id = asset_id"
        " WHERE kind = 'listing' GROUP BY 1"
    )
    many = {row["ticker"] for row in bars if row["bars"] > SESSIONS // 4}
    assert len(many) >= len(FUNDS), bars
    spoilt = spoilt_bars(script)
    assert sorted(spoilt.values()) == sorted(RULES.values())
    aside = year.rows(
        "SELECT ticker, date, rule FROM quarantined_bars JOIN assets ON assets.id = asset_id"
        " WHERE released_at IS NULL"
    )
    missed = spoilt.items() - {((row["ticker"], row["date"]), row["rule"]) for row in aside}
    assert not missed, f"{missed} were not set aside, but {aside}"


def differences(year: Year, script: list[dict[str, Any]]) -> list[str]:
    """Where what is stored is neither what is published nor set aside for what was done to it."""
    spoilt = spoilt_bars(script)
    stored = {
        (row["ticker"], row["date"]): row
        for row in year.rows(
            "SELECT ticker, stock_prices.* FROM stock_prices JOIN assets ON assets.id = asset_id"
            " WHERE kind = 'listing'"
        )
    }
    gone = {event["ticker"] for event in script if event.get("gone")}
    aside = {
        (row["ticker"], row["date"]): row["rule"]
        for row in year.rows(
            "SELECT ticker, date, rule FROM quarantined_bars JOIN assets ON assets.id = asset_id"
            " WHERE released_at IS NULL"
        )
    }
    wrong = []
    published = year.published("IR", FIRST, year.now.date())
    stocks = {
        row["ticker"] for row in year.rows("SELECT ticker FROM assets WHERE kind = 'listing'")
    }
    for code, columns in published["bars"].items():
        if f"{code}.IR" not in stocks:
            continue
        for day, *values in zip(*columns.values(), strict=True):
            key = (f"{code}.IR", date.fromisoformat(day))
            bar = stored.pop(key, None)
            mine = bar and [bar[name] for name in COLUMNS]
            if key in spoilt:
                if bar is not None or aside.get(key) != spoilt[key]:
                    wrong.append(f"{key}: {values} is not set aside as {spoilt[key]}: {mine}")
            elif mine != values:
                wrong.append(f"{key}: published {values}, stored {mine}, aside {aside.get(key)}")
    wrong += [f"{key}: stored, and not published" for key in stored if key[0] not in gone]
    return wrong


COLUMNS = ("open", "high", "low", "close", "adj_close", "volume")
