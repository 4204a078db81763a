"""What scripted events do to bars, actions, lists and details, and that actions do exactly what the
vendor's convention says they do.
"""

import json
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import fault_series
import pytest

from screener_local.simulator import answers, references, script, series
from screener_local.simulator.exchanges import EXCHANGES
from screener_local.simulator.faults import BadFault
from screener_local.simulator.published import published
from screener_local.simulator.sessions import to_date, to_day
from screener_local.simulator.world import World

EVENING = datetime(2023, 9, 19, 23, 59, tzinfo=UTC)
"""A Tuesday; every exchange has published its session."""
MC, US = EXCHANGES["MC"], EXCHANGES["US"]


@pytest.fixture(scope="module")
def shared() -> World:
    """One world for all tests: its markets are expensive and events do not touch the plain ones."""
    return World(1, None, None)


@pytest.fixture
def world(shared: World) -> World:
    shared.reset()
    return shared


def put(world: World, *events: Mapping[str, Any], now: datetime = EVENING) -> None:
    world.script(script.parse(list(events)).events, now)


def get(world: World, path: str, now: datetime = EVENING, **query: str) -> Any:
    """The JSON that the vendor answers; the status where it is not 200."""
    endpoint, _, subject = path.partition("/")
    found = answers.answer(world, endpoint, subject, {"fmt": "json", **query}, now)
    return json.loads(found.body) if found.status == 200 else found.status


def eod(world: World, ticker: str, first: str, last: str, now: datetime = EVENING) -> list[Any]:
    rows: list[Any] = get(world, f"eod/{ticker}", now, **{"from": first, "to": last})
    return rows


def bulk(world: World, exchange: str, day: str, now: datetime = EVENING, kind: str = "eod") -> Any:
    return get(world, f"eod-bulk-last-day/{exchange}", now, date=day, type=kind)


def codes(world: World, now: datetime = EVENING, exchange: str = "MC", **query: str) -> set[str]:
    return {row["Code"] for row in get(world, f"exchange-symbol-list/{exchange}", now, **query)}


def steady(world: World, exchange: str = "MC") -> str:
    """A code that trades every session of 2023 without any action."""
    view = world.view(EXCHANGES[exchange], EVENING)
    low = to_day(date(2023, 1, 1))
    sessions = sum(low <= day <= view.visible for day in view.sessions.days.tolist())
    for at, row in view.listed():
        if row.type != "Common Stock" or row.delisted:
            continue
        bars = view.history(at, low, view.visible)
        quiet = not [item for item in view.dividends(at) if item.day >= low]
        quiet = quiet and not [item for item in view.splits(at) if item.day >= low]
        if len(bars) == sessions and quiet and bars.volume.min() > 0 and bars.close.min() > 5:
            return row.code
    raise AssertionError("no steady code")


@pytest.fixture
def code(world: World) -> str:
    return steady(world)


def hours_later(hours: float) -> datetime:
    return EVENING + timedelta(hours=hours)


# -- when things come out -------------------------------------------------------------------------


def test_actions_are_listed_in_the_night_after_their_session(world: World) -> None:
    days = [EVENING - timedelta(days=back) for back in range(0, 90)]
    evening = next(
        day for day in days if bulk(world, "MC", f"{day:%Y-%m-%d}", kind="dividends")
    ).replace(hour=23)
    day = f"{evening:%Y-%m-%d}"
    at_two = (evening + timedelta(days=1)).replace(hour=2, minute=0)
    at_four = at_two + timedelta(hours=2)
    assert bulk(world, "MC", day, evening, "dividends") == []
    assert bulk(world, "MC", day, at_two - timedelta(seconds=1), "dividends") == []
    found = bulk(world, "MC", day, at_four, "dividends")
    assert found
    ticker = f"{found[0]['code']}.MC"
    assert get(world, f"div/{ticker}", evening, **{"from": day}) == []
    assert get(world, f"div/{ticker}", at_four, **{"from": day})[0]["date"] == day
    put(world, {"kind": "actions_listed", "when": "with_session"})
    assert bulk(world, "MC", day, evening, "dividends") == found


def test_a_late_session_echoes_the_one_before_until_it_is_out(world: World, code: str) -> None:
    put(world, {"kind": "late", "exchange": "MC", "session": "2023-09-19", "hours": 10})
    assert {row["date"] for row in bulk(world, "MC", "2023-09-19")} == {"2023-09-18"}
    assert eod(world, f"{code}.MC", "2023-09-18", "2023-09-19")[-1]["date"] == "2023-09-18"
    later = hours_later(5)
    assert {row["date"] for row in bulk(world, "MC", "2023-09-19", later)} == {"2023-09-19"}
    put(world, {"kind": "late", "exchange": "MC", "session": "2023-09-15", "hours": 200})
    dates = [row["date"] for row in eod(world, f"{code}.MC", "2023-09-14", "2023-09-19")]
    assert dates == ["2023-09-14", "2023-09-18", "2023-09-19"]


def test_a_partial_session_is_the_same_in_bulk_and_alone_and_fills_up(world: World) -> None:
    whole = {row["code"] for row in bulk(world, "MC", "2023-09-19")}
    event = {"kind": "partial", "exchange": "MC", "session": "2023-09-19", "share": 0.4, "hours": 9}
    put(world, event)
    part = {row["code"] for row in bulk(world, "MC", "2023-09-19")}
    assert 0.25 < len(part) / len(whole) < 0.55
    for name in sorted(whole)[:20]:
        alone = eod(world, f"{name}.MC", "2023-09-19", "2023-09-19")
        assert bool(alone) == (name in part)
    assert {row["code"] for row in bulk(world, "MC", "2023-09-19", hours_later(9))} == whole


def test_volumes_are_restated(world: World, code: str) -> None:
    final = eod(world, f"{code}.MC", "2023-09-18", "2023-09-19")
    put(world, {"kind": "volume", "exchange": "MC", "factor": 0.5, "hours": 12})
    first = eod(world, f"{code}.MC", "2023-09-18", "2023-09-19")
    assert first[0] == final[0]
    assert first[1] == final[1] | {"volume": round(final[1]["volume"] * 0.5)}
    assert eod(world, f"{code}.MC", "2023-09-18", "2023-09-19", hours_later(9)) == final


def test_a_bar_is_missing_for_a_while(world: World, code: str) -> None:
    put(world, {"kind": "missing", "ticker": f"{code}.MC", "session": "2023-09-19", "hours": 9})
    assert eod(world, f"{code}.MC", "2023-09-19", "2023-09-19") == []
    assert len(eod(world, f"{code}.MC", "2023-09-19", "2023-09-19", hours_later(9))) == 1


@pytest.mark.parametrize(
    ("answer", "rows", "dated"),
    [
        ("residue", 7, "2023-09-16"),
        ("echo", 230, "2023-09-15"),
        ("nothing", 0, ""),
    ],
)
def test_a_holidays_answer_is_as_scripted(world: World, answer: str, rows: int, dated: str) -> None:
    event = {"kind": "holiday", "exchange": "MC", "session": "2023-09-16", "answer": answer}
    put(world, event | ({"rows": 7} if answer == "residue" else {}))
    found = bulk(world, "MC", "2023-09-16")
    assert len(found) == rows or (answer == "echo" and len(found) > rows)
    assert {row["date"] for row in found} == ({dated} if dated else set())


def test_an_exchange_that_stays_closed_has_no_bar_and_says_so(world: World, code: str) -> None:
    put(world, {"kind": "closed", "exchange": "MC", "session": "2023-09-14"})
    dates = [row["date"] for row in eod(world, f"{code}.MC", "2023-09-13", "2023-09-15")]
    assert dates == ["2023-09-13", "2023-09-15"]
    assert {row["date"] for row in bulk(world, "MC", "2023-09-14")} <= {"2023-09-14", "2023-09-13"}
    holidays = get(world, "exchange-details/MC")["ExchangeHolidays"].values()
    assert "2023-09-14" in {row["Date"] for row in holidays if row["Type"] == "official"}


def test_details_are_as_scripted(world: World) -> None:
    put(
        world,
        {
            "kind": "details",
            "exchange": "MC",
            "set": {"Timezone": "Asia/Tokyo"},
            "holidays": "list",
        },
    )
    details = get(world, "exchange-details/MC")
    assert details["Timezone"] == "Asia/Tokyo"
    assert isinstance(details["ExchangeHolidays"], list)
    put(world, {"kind": "details", "exchange": "MC", "holidays": "empty"})
    assert get(world, "exchange-details/MC")["ExchangeHolidays"] == []


# -- wrong bars -----------------------------------------------------------------------------------


def test_prices_change_their_unit_for_some_sessions(world: World, code: str) -> None:
    good = eod(world, f"{code}.MC", "2023-09-11", "2023-09-19")
    put(
        world,
        {
            "kind": "unit",
            "ticker": f"{code}.MC",
            "from": "2023-09-13",
            "to": "2023-09-14",
            "factor": 100,
            "until": "2023-09-21T00:00:00Z",
        },
    )
    bad = eod(world, f"{code}.MC", "2023-09-11", "2023-09-19")
    ratios = [after["close"] / before["close"] for before, after in zip(good, bad, strict=True)]
    assert ratios == pytest.approx([1, 1, 100, 100, 1, 1, 1])
    assert [row["volume"] for row in bad] == [row["volume"] for row in good]
    day = next(row for row in bulk(world, "MC", "2023-09-13") if row["code"] == code)
    assert day["high"] == bad[2]["high"]
    assert eod(world, f"{code}.MC", "2023-09-11", "2023-09-19", hours_later(48))[:7] == good


def test_a_bar_is_as_scripted_until_it_is_mended(world: World, code: str) -> None:
    good = eod(world, f"{code}.MC", "2023-09-19", "2023-09-19")[0]
    put(
        world,
        {
            "kind": "bar",
            "ticker": f"{code}.MC",
            "session": "2023-09-19",
            "set": {"low": 0, "adjusted_close": 1.5},
            "until": "2023-09-20T12:00:00Z",
        },
    )
    bad = eod(world, f"{code}.MC", "2023-09-19", "2023-09-19")[0]
    assert bad == good | {"low": 0, "adjusted_close": 1.5}
    assert eod(world, f"{code}.MC", "2023-09-19", "2023-09-19", hours_later(13))[0] == good


def test_a_bar_appears_on_a_day_without_session(world: World, code: str) -> None:
    bar = {"open": 5, "high": 5, "low": 5, "close": 5}
    put(world, {"kind": "bar", "ticker": f"{code}.MC", "session": "2023-09-16", "set": bar})
    row = eod(world, f"{code}.MC", "2023-09-16", "2023-09-17")
    assert row == [{"date": "2023-09-16", **bar, "adjusted_close": 5, "volume": 0}]


# -- actions --------------------------------------------------------------------------------------


def factor(rows: list[Any], at: int) -> float:
    return float(rows[at]["adjusted_close"] / rows[at]["close"])


def step(world: World, ticker: str, now: datetime = EVENING) -> tuple[list[Any], float]:
    """The rows around 2023-09-12, and k of the session before over k of that session."""
    rows = eod(world, ticker, "2023-09-11", "2023-09-12", now)
    return rows, factor(rows, 0) / factor(rows, 1)


def test_a_split_does_to_k_price_and_volume_what_its_ratio_says(world: World, code: str) -> None:
    plain = eod(world, f"{code}.MC", "2023-09-11", "2023-09-12")
    put(world, {"kind": "split", "ticker": f"{code}.MC", "session": "2023-09-12", "ratio": "4/1"})
    rows, k = step(world, f"{code}.MC")
    assert k == pytest.approx(1 / 4, rel=2e-4)
    assert rows[0]["close"] == plain[0]["close"]
    assert rows[1]["close"] == pytest.approx(plain[1]["close"] / 4, abs=0.006)
    assert rows[0]["volume"] == pytest.approx(plain[0]["volume"] * 4, abs=4)
    assert rows[1]["volume"] == pytest.approx(plain[1]["volume"] * 4, abs=4)
    assert get(world, f"splits/{code}.MC", **{"from": "2023-09-01"}) == [
        {"date": "2023-09-12", "split": "4.000000/1.000000"}
    ]
    [listed] = bulk(world, "MC", "2023-09-12", kind="splits")
    assert (listed["code"], listed["split"]) == (code, "4.000000/1.000000")


def test_a_dividend_does_to_k_what_its_share_of_the_close_before_is(
    world: World, code: str
) -> None:
    plain = eod(world, f"{code}.MC", "2023-09-11", "2023-09-12")
    put(world, {"kind": "dividend", "ticker": f"{code}.MC", "session": "2023-09-12", "amount": 0.5})
    rows, k = step(world, f"{code}.MC")
    assert k == pytest.approx(1 - 0.5 / rows[0]["close"], abs=2e-5)
    fall = 1 - 0.5 / plain[0]["close"]
    assert rows[1]["close"] == pytest.approx(plain[1]["close"] * fall, abs=0.006)
    [paid] = get(world, f"div/{code}.MC", **{"from": "2023-09-01"})
    assert (paid["date"], paid["unadjustedValue"]) == ("2023-09-12", 0.5)


def test_a_split_and_a_dividend_of_one_day_multiply(world: World, code: str) -> None:
    ticker = {"ticker": f"{code}.MC", "session": "2023-09-12"}
    put(
        world,
        {"kind": "split", "ratio": "2/1", **ticker},
        {"kind": "dividend", "yield": 0.03, **ticker},
    )
    rows, k = step(world, f"{code}.MC")
    [paid] = get(world, f"div/{code}.MC", **{"from": "2023-09-01"})
    expected = 0.5 * (1 - paid["unadjustedValue"] / rows[0]["close"])
    assert k == pytest.approx(expected, rel=2e-4)


def test_a_dividend_before_a_split_is_listed_as_paid_and_adjusted(world: World, code: str) -> None:
    put(
        world,
        {"kind": "dividend", "ticker": f"{code}.MC", "session": "2023-09-07", "amount": 0.4},
        {"kind": "split", "ticker": f"{code}.MC", "session": "2023-09-12", "ratio": "2/1"},
    )
    [paid] = get(world, f"div/{code}.MC", **{"from": "2023-09-01"})
    assert (paid["unadjustedValue"], paid["value"]) == (0.4, 0.2)


def test_a_split_is_listed_and_applied_late(world: World, code: str) -> None:
    put(
        world,
        {
            "kind": "split",
            "ticker": f"{code}.MC",
            "session": "2023-09-12",
            "ratio": "4/1",
            "list_hours": 48,
            "adjust_hours": 180,
        },
    )
    ex_day = datetime(2023, 9, 12, 23, tzinfo=UTC)
    listed = [
        len(get(world, f"splits/{code}.MC", ex_day + timedelta(hours=h), **{"from": "2023-09-01"}))
        for h in (10, 50, 54)
    ]
    assert listed == [0, 0, 1]
    assert step(world, f"{code}.MC", ex_day)[1] == pytest.approx(1)
    assert step(world, f"{code}.MC", EVENING)[1] == pytest.approx(1)
    assert step(world, f"{code}.MC", hours_later(12))[1] == pytest.approx(1 / 4, rel=2e-4)


@pytest.mark.parametrize("adjusted", [True, False])
def test_a_split_is_listed_that_never_was(world: World, code: str, adjusted: bool) -> None:
    plain = eod(world, f"{code}.MC", "2023-09-11", "2023-09-12")
    put(
        world,
        {
            "kind": "split",
            "ticker": f"{code}.MC",
            "session": "2023-09-12",
            "ratio": "10/1",
            "real": False,
            "adjusted": adjusted,
            "until": "2023-09-22T00:00:00Z",
        },
    )
    rows, k = step(world, f"{code}.MC")
    assert [row["close"] for row in rows] == [row["close"] for row in plain]
    assert k == pytest.approx(0.1 if adjusted else 1.0, rel=1e-3)
    assert len(get(world, f"splits/{code}.MC", **{"from": "2023-09-01"})) == 1
    after = hours_later(72)
    assert eod(world, f"{code}.MC", "2023-09-11", "2023-09-12", after) == plain
    assert get(world, f"splits/{code}.MC", after, **{"from": "2023-09-01"}) == []


@pytest.mark.parametrize("adjusted", [True, False])
def test_a_listed_dividend_is_a_hundred_times_what_was_paid(
    world: World, code: str, adjusted: bool
) -> None:
    ticker = {"ticker": f"{code}.MC", "session": "2023-09-12"}
    put(
        world,
        {"kind": "dividend", "yield": 0.004, **ticker},
        {
            "kind": "action",
            "factor": 100,
            "adjusted": adjusted,
            "until": "2023-09-22T00:00:00Z",
            **ticker,
        },
    )
    rows, k = step(world, f"{code}.MC")
    [paid] = get(world, f"div/{code}.MC", **{"from": "2023-09-01"})
    share = paid["unadjustedValue"] / rows[0]["close"]
    assert share == pytest.approx(0.4, rel=0.05)
    assert k == pytest.approx(1 - (share if adjusted else share / 100), abs=1e-4)
    [mended] = get(world, f"div/{code}.MC", hours_later(72), **{"from": "2023-09-01"})
    assert mended["unadjustedValue"] == pytest.approx(paid["unadjustedValue"] / 100)


def test_all_actions_of_an_exchange_come_late(world: World) -> None:
    days = [f"{EVENING - timedelta(days=back):%Y-%m-%d}" for back in range(30, 90)]
    day = next(day for day in days if bulk(world, "MC", day, kind="dividends"))
    put(
        world,
        {
            "kind": "action",
            "exchange": "MC",
            "session": day,
            "list_hours": None,
            "until": "2023-09-25T00:00:00Z",
        },
    )
    assert bulk(world, "MC", day, kind="dividends") == []
    assert bulk(world, "MC", day, hours_later(200), kind="dividends")


def test_a_dividend_is_listed_in_another_currency(world: World, code: str) -> None:
    put(
        world,
        {
            "kind": "dividend",
            "ticker": f"{code}.MC",
            "session": "2023-09-12",
            "amount": 0.5,
            "listed_amount": 0.55,
            "currency": "USD",
        },
    )
    [paid] = get(world, f"div/{code}.MC", **{"from": "2023-09-01"})
    assert (paid["unadjustedValue"], paid["currency"]) == (0.55, "USD")
    rows, k = step(world, f"{code}.MC")
    assert k == pytest.approx(1 - 0.5 / rows[0]["close"], abs=2e-5)


# -- the universe ---------------------------------------------------------------------------------


def test_a_listing_begins(world: World) -> None:
    put(
        world,
        {
            "kind": "listing",
            "ticker": "NEWCO.MC",
            "on": "2023-09-14",
            "set": {"Currency": "USD", "Isin": "ES0000000001"},
        },
    )
    before = datetime(2023, 9, 13, 23, tzinfo=UTC)
    assert "NEWCO" not in codes(world, before)
    assert get(world, "eod/NEWCO.MC", before) == 404
    [row] = [r for r in get(world, "exchange-symbol-list/MC") if r["Code"] == "NEWCO"]
    assert (row["Currency"], row["Isin"]) == ("USD", "ES0000000001")
    assert eod(world, "NEWCO.MC", "2023-01-01", "2023-09-19")[0]["date"] >= "2023-09-14"
    assert get(world, "fundamentals/NEWCO.MC")["General"]["Code"] == "NEWCO"


def test_a_delisting_leaves_the_list_and_keeps_its_bars(world: World, code: str) -> None:
    put(world, {"kind": "delisting", "ticker": f"{code}.MC", "on": "2023-09-14"})
    assert code in codes(world, datetime(2023, 9, 13, 23, tzinfo=UTC))
    assert code not in codes(world)
    assert code in codes(world, delisted="1")
    assert eod(world, f"{code}.MC", "2023-09-11", "2023-09-19")[-1]["date"] == "2023-09-13"
    assert code not in {row["code"] for row in bulk(world, "MC", "2023-09-19")}


def test_a_delisted_code_returns(world: World, code: str) -> None:
    put(
        world,
        {
            "kind": "delisting",
            "ticker": f"{code}.MC",
            "on": "2023-09-12",
            "until": "2023-09-18T00:00:00Z",
        },
    )
    assert code not in codes(world, datetime(2023, 9, 15, 23, tzinfo=UTC))
    assert code in codes(world)
    dates = [row["date"] for row in eod(world, f"{code}.MC", "2023-09-11", "2023-09-19")]
    assert dates == ["2023-09-11", "2023-09-18", "2023-09-19"]


def test_a_delisted_code_may_be_unknown_at_once(world: World, code: str) -> None:
    put(world, {"kind": "delisting", "ticker": f"{code}.MC", "on": "2023-09-14", "gone": True})
    assert get(world, f"eod/{code}.MC") == 404
    assert code not in codes(world, delisted="1")


def test_a_renaming_takes_the_history_along(world: World) -> None:
    code = steady(world, "US")
    old = eod(world, f"{code}.US", "2023-09-01", "2023-09-19")
    company = get(world, f"fundamentals/{code}.US")
    put(world, {"kind": "rename", "ticker": f"{code}.US", "on": "2023-09-14", "code": "ZZNEW"})
    assert get(world, f"eod/{code}.US") == 404
    assert eod(world, "ZZNEW.US", "2023-09-01", "2023-09-19") == old
    assert {code, "ZZNEW"} & codes(world, exchange="US") == {"ZZNEW"}
    assert "ZZNEW" in {row["code"] for row in bulk(world, "US", "2023-09-19")}
    [change] = get(world, "symbol-change-history", **{"from": "2023-09-01"})
    assert change["old_symbol"] == code
    assert (change["new_symbol"], change["effective"]) == ("ZZNEW", "2023-09-14")
    renamed = get(world, "fundamentals/ZZNEW.US")
    assert renamed["General"]["Code"] == "ZZNEW"
    assert renamed["Highlights"] == company["Highlights"]
    put(
        world,
        {
            "kind": "rename",
            "ticker": f"{code}.US",
            "on": "2023-09-14",
            "code": "ZZNEW",
            "history": False,
        },
    )
    assert get(world, "symbol-change-history") == []


def test_a_code_is_given_to_another_company(world: World, code: str) -> None:
    old = eod(world, f"{code}.MC", "2023-09-01", "2023-09-13")
    put(world, {"kind": "reuse", "ticker": f"{code}.MC", "on": "2023-09-14"})
    assert eod(world, f"{code}_old.MC", "2023-09-01", "2023-09-19") == old
    fresh = eod(world, f"{code}.MC", "2023-09-01", "2023-09-19")
    assert fresh[0]["date"] >= "2023-09-14"
    assert fresh[0]["close"] != old[-1]["close"]
    assert {f"{code}_old"} <= codes(world, delisted="1")
    assert code in codes(world)


def test_a_row_of_the_list_changes(world: World, code: str) -> None:
    put(
        world,
        {
            "kind": "change",
            "ticker": f"{code}.MC",
            "on": "2023-09-14",
            "set": {"Type": "ETF", "Currency": "GBP"},
        },
    )
    [row] = [r for r in get(world, "exchange-symbol-list/MC") if r["Code"] == code]
    assert (row["Type"], row["Currency"]) == ("ETF", "GBP")


def test_a_list_is_truncated_for_a_while(world: World) -> None:
    whole = codes(world)
    put(
        world,
        {"kind": "list_truncated", "exchange": "MC", "share": 0.5, "until": "2023-09-20T12:00:00Z"},
    )
    assert len(codes(world)) == len(whole) // 2
    assert codes(world, hours_later(13)) == whole


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"kind": "late", "exchange": "NOPE", "session": "2023-09-19", "hours": 1}, "exchange"),
        ({"kind": "late", "exchange": "MC", "hours": 1}, "session"),
        ({"kind": "late", "exchange": "MC", "session": "2023-09-19"}, "hours"),
        ({"kind": "unit", "ticker": "NOPE1.MC", "session": "2023-09-19"}, "ticker"),
        ({"kind": "unit", "ticker": "NOPE1", "session": "2023-09-19"}, "ticker"),
        ({"kind": "split", "ticker": "INF.PA", "session": "2023-09-19", "ratio": "4"}, "ratio"),
        ({"kind": "dividend", "ticker": "INF.PA", "session": "2023-09-19"}, "amount"),
        (
            {"kind": "dividend", "ticker": "INF.PA", "session": "2023-09-19", "amount": 1e9},
            "amount",
        ),
        ({"kind": "listing", "ticker": "INF.PA", "on": "2023-09-19"}, "ticker"),
        ({"kind": "rename", "ticker": "INF.PA", "on": "2023-09-19", "code": "AIR"}, "code"),
        ({"kind": "change", "ticker": "INF.PA", "on": "2023-09-19", "set": {"X": 1}}, "set.X"),
        ({"kind": "change", "ticker": "INF.PA", "on": "2030-09-19", "set": {"Y": "1"}}, "set.Y"),
        (
            {"kind": "bar", "ticker": "INF.PA", "session": "2030-09-19", "set": {"low": "x"}},
            "set.low",
        ),
        ({"kind": "holiday", "exchange": "MC", "session": "x"}, "session"),
        ({"kind": "details", "exchange": "MC", "day": 1}, "day"),
    ],
)
def test_an_event_that_cannot_be_names_its_field_and_changes_nothing(
    world: World, event: dict[str, Any], field: str
) -> None:
    good = {"kind": "list_truncated", "exchange": "MC", "share": 0.0}
    put(world, good)
    with pytest.raises(BadFault, match=field):
        put(world, event)
    assert codes(world) == set()


# -- references -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ticker", "low", "high"),
    [("GSPC.INDX", 100, 100_000), ("GDAXI.INDX", 100, 100_000), ("EURUSD.FOREX", 0.3, 4)],
)
def test_indices_and_rates_have_bars_and_no_actions(
    world: World, ticker: str, low: float, high: float
) -> None:
    rows = eod(world, ticker, "2023-09-04", "2023-09-19")
    assert len(rows) == {"GSPC.INDX": 11, "GDAXI.INDX": 12, "EURUSD.FOREX": 11}[ticker]
    assert all(low < row["close"] == row["adjusted_close"] < high for row in rows)
    assert get(world, f"div/{ticker}") == get(world, f"splits/{ticker}") == []


def test_every_benchmark_and_currency_of_the_exchanges_is_there(world: World) -> None:
    assert {"GSPC", "FTSE", "GDAXI", "FCHI", "AEX", "BFX", "PSI20", "IBEX", "SSMI"} <= codes(
        world, exchange="INDX"
    )
    rates = codes(world, exchange="FOREX")
    currencies = {exchange.currency for exchange in EXCHANGES.values()} - {"USD"}
    assert {f"{currency}USD" for currency in currencies} <= rates
    assert set(references.PSEUDO) <= {row["Code"] for row in get(world, "exchanges-list")}
    assert get(world, "eod/NOPE.INDX") == 404


def test_an_exchange_without_a_known_calendar_has_weekdays(world: World) -> None:
    [row] = [row for row in get(world, "exchanges-list") if row["Code"] == "XNAI"]
    assert row["OperatingMIC"] == "XNAI"
    ticker = f"{steady_code(world, 'XNAI')}.XNAI"
    dates = [row["date"] for row in eod(world, ticker, "2023-05-26", "2023-06-05")]
    assert dates == [f"2023-05-{day}" for day in (26, 29, 30, 31)] + ["2023-06-02", "2023-06-05"]


def steady_code(world: World, exchange: str) -> str:
    view = world.view(EXCHANGES[exchange], EVENING)
    low, high = to_day(date(2023, 5, 26)), to_day(date(2023, 6, 5))
    return next(row.code for at, row in view.listed() if len(view.history(at, low, high)) == 6)


def test_subunits_are_listed(world: World) -> None:
    assert {row["Currency"] for row in get(world, "exchange-symbol-list/JSE")} == {"ZAC", "ZAR"}


# -- given series ---------------------------------------------------------------------------------

BARS = [
    {"date": "2023-09-11", "open": 99, "high": 101, "low": 98, "close": 100,
     "adjusted_close": 47.5, "volume": 2000},
    {"date": "2023-09-12", "open": 49, "high": 52, "low": 48, "close": 50.12345,
     "adjusted_close": 47.6173, "volume": 1000},
    {"date": "2023-09-13", "open": 50, "high": 51, "low": 47, "close": 48,
     "adjusted_close": 48, "volume": 1500},
]  # fmt: skip
GIVEN = {
    "ticker": "GIVEN.LSE", "currency": "GBX", "bars": BARS,
    "splits": [{"date": "2023-09-12", "split": "2/1"}],
    "dividends": [{"date": "2023-09-13", "value": 2.5, "currency": "GBP"},
                  {"date": "2023-09-12", "value": 1.0}],
}  # fmt: skip


def test_a_given_series_is_served_by_every_endpoint_as_it_is(world: World) -> None:
    assert world.give(series.parse(GIVEN)) == ["GIVEN.LSE"]
    assert eod(world, "GIVEN.LSE", "2023-01-01", "2023-09-19") == BARS
    early = datetime(2023, 9, 12, 23, tzinfo=UTC)
    assert eod(world, "GIVEN.LSE", "2023-01-01", "2023-09-19", early) == BARS[:2]
    [row] = [row for row in bulk(world, "LSE", "2023-09-12") if row["code"] == "GIVEN"]
    assert {name: row[name] for name in BARS[1]} == BARS[1]
    assert "GIVEN" not in {row["code"] for row in bulk(world, "LSE", "2023-09-15")}
    assert get(world, "splits/GIVEN.LSE")[0]["split"] == "2.000000/1.000000"
    paid = [
        (row["date"], row["value"], row["unadjustedValue"], row["currency"])
        for row in get(world, "div/GIVEN.LSE")
    ]
    assert paid == [("2023-09-12", 1, 1, "GBX"), ("2023-09-13", 2.5, 2.5, "GBP")]
    [listed] = [r for r in get(world, "exchange-symbol-list/LSE") if r["Code"] == "GIVEN"]
    assert (listed["Currency"], listed["Type"]) == ("GBX", "Common Stock")


def test_a_given_series_takes_the_place_of_a_made_up_one(world: World, code: str) -> None:
    world.give(series.parse(GIVEN | {"ticker": f"{code}.MC"}))
    assert eod(world, f"{code}.MC", "2000-01-01", "2023-09-19") == BARS


def test_a_given_series_without_adjusted_closes_is_adjusted_as_time_goes(world: World) -> None:
    bars = [{k: v for k, v in row.items() if k != "adjusted_close"} for row in BARS]
    world.give(series.parse(GIVEN | {"bars": bars, "dividends": []}))
    before = datetime(2023, 9, 11, 23, tzinfo=UTC)
    after = eod(world, "GIVEN.LSE", "2023-09-01", "2023-09-19")
    [first] = eod(world, "GIVEN.LSE", "2023-09-01", "2023-09-19", before)
    assert (first["adjusted_close"], first["volume"]) == (100, 2000)
    assert [row["adjusted_close"] for row in after] == [50, 50.1234, 48]
    assert [row["volume"] for row in after] == [4000, 1000, 1500]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ticker": "GIVEN"}, "ticker"),
        ({"ticker": "GIVEN.NOPE"}, "ticker"),
        ({"bars": []}, "bars"),
        ({"bars": [BARS[0], BARS[0]]}, "bars.date"),
        ({"bars": [{"date": "2023-09-11"}]}, "bars.open"),
        ({"splits": [{"date": "2023-09-11", "split": "2"}]}, "splits.split"),
        ({"dividends": [{"date": "2023-09-11"}]}, "dividends.value"),
        ({"what": 1}, "what"),
    ],
)
def test_a_series_that_cannot_be_served_names_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(series.BadSeries, match=field):
        series.parse(GIVEN | change)


@pytest.mark.skipif(not fault_series.names(), reason="no shared data")
def test_real_series_with_faults_are_served_in_the_vendors_form(world: World) -> None:
    for number, name in enumerate(fault_series.names()):
        given = fault_series.document(name, f"REAL{number}.MC")
        world.give(series.parse(given))
        rows = eod(world, f"REAL{number}.MC", "2000-01-01", "2030-01-01", hours_later(24 * 700))
        assert rows == given["bars"], name
        now = hours_later(24 * 700)
        assert len(get(world, f"splits/REAL{number}.MC", now)) == len(given["splits"])
        paid = [row["value"] for row in get(world, f"div/REAL{number}.MC", now)]
        assert paid == pytest.approx([row["value"] for row in given["dividends"]], abs=1e-6)


# -- the truth ------------------------------------------------------------------------------------


def test_what_is_published_last_is_what_the_endpoints_say(world: World, code: str) -> None:
    put(
        world,
        {"kind": "unit", "ticker": f"{code}.MC", "session": "2023-09-14", "factor": 0.01},
        {"kind": "split", "ticker": f"{code}.MC", "session": "2023-09-12", "ratio": "2/1"},
        {"kind": "volume", "exchange": "MC", "factor": 0.5, "hours": 12},
    )
    low, high = to_day(date(2023, 9, 4)), to_day(date(2023, 9, 19))
    view = world.view(MC, EVENING)
    every = published(view, low, high, None)
    few = published(view, low, high, frozenset({code, "AIR"}))
    assert few["bars"][code] == every["bars"][code]
    assert every["splits"] == few["splits"] or len(every["splits"]) > 1
    assert every["sessions"][-1] == "2023-09-19"
    for name in [code, *list(every["bars"])[::25]]:
        rows = eod(world, f"{name}.MC", "2023-09-04", "2023-09-19")
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        assert every["bars"][name] == columns
    listed = {row["Code"] for row in get(world, "exchange-symbol-list/MC")}
    assert set(every["listed"]) == listed
    assert to_date(low).isoformat() == "2023-09-04"


def test_us_may_be_as_large_as_the_real_one() -> None:
    large = World(1, None, None, us_rows=45_000)
    stocks = codes(large, exchange="US", type="common_stock")
    assert len(stocks) == US.size
    assert len(bulk(large, "US", "2023-09-19")) > 43_000


def test_a_year_of_sessions_is_walked_cheaply(world: World, code: str) -> None:
    """Every event of a year is put at once; each session then shows what is new, and the last
    truth is what the whole history says.
    """
    put(
        world,
        *(
            {"kind": "split", "ticker": f"{code}.MC", "session": "2023-03-07", "ratio": "2/1"},
            {"kind": "volume", "exchange": "MC", "hours": 10},
            {"kind": "listing", "ticker": "NEWCO.MC", "on": "2023-04-03"},
            {"kind": "delisting", "ticker": "NEWCO.MC", "on": "2023-08-01"},
        ),
    )
    view = world.view(MC, EVENING)
    low = to_day(date(2022, 9, 19))
    sessions = [day for day in view.sessions.days.tolist() if low <= day <= view.visible]
    began = time.process_time()
    for day in sessions:
        moment = datetime.combine(to_date(day), datetime.min.time(), UTC) + timedelta(hours=23)
        shown = world.view(MC, moment)
        assert shown.visible == day
        assert len(shown.day(day)) > 200
    assert time.process_time() - began < 60
    assert len(sessions) > 250
