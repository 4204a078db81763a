"""The rules that a bar must keep, and what becomes of those that do not."""

import csv
import random
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from screener_collector.bars import (
    LEAST_PRICE,
    MAX_VOLUME,
    MOST_PRICE,
    PRICE_TOLERANCE,
    Bars,
    Sorted,
    merge,
    parse_count,
    parse_day,
    parse_number,
    sort_out,
    sort_out_day,
)

FIRST, LAST, TODAY = date(2024, 1, 1), date(2024, 1, 31), date(2024, 1, 25)
SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "eodhd"


def row(day: Any = "2024-01-10", **change: Any) -> dict[str, Any]:
    good = {"open": 10, "high": 12, "low": 9, "close": 11, "adjusted_close": 10.5, "volume": 5}
    return {"date": day, **good, **change}


def listed(bars: Bars) -> list[tuple[Any, ...]]:
    """The bars one by one, as plain values."""
    return list(zip(*(column.tolist() for column in bars.columns()), strict=True))


GOOD = [
    pytest.param(row(), id="whole prices as integers"),
    pytest.param(row(open="10", volume="5"), id="numbers as texts"),
    pytest.param(row(volume=5.0), id="a whole volume as a float"),
    pytest.param(row(warning="Data is limited by one year"), id="a key more, as free plans have"),
]


@pytest.mark.parametrize("good", GOOD)
def test_a_good_row_is_a_bar(good: dict[str, Any]) -> None:
    found = sort_out([good], FIRST, LAST, TODAY)
    assert listed(found.bars) == [(date(2024, 1, 10), 10, 12, 9, 11, 10.5, 5)]
    assert found.bad == ()


EDGES = [
    pytest.param(row("2024-01-01"), id="the first day asked for"),
    pytest.param(row("2024-01-25"), id="today"),
    pytest.param(row(volume=0), id="a flat candle without volume"),
    pytest.param(row(volume=2**63 - 1), id="the largest volume there is"),
    pytest.param(row(open=9, high=12, low=9, close=12), id="open at the low, close at the high"),
    pytest.param(row(low=10.0009), id="a low above the open by rounding"),
    pytest.param(row(high=10.9991), id="a high below the close by rounding"),
    pytest.param(row(open=1e-4, high=1e-4, low=1e-4, close=1e-4), id="the smallest price there is"),
]


@pytest.mark.parametrize("edge", EDGES)
def test_an_edge_is_still_good(edge: dict[str, Any]) -> None:
    found = sort_out([edge], FIRST, LAST, TODAY)
    assert (len(found.bars), found.bad) == (1, ())


BAD = [
    pytest.param(row(None), "date_invalid", id="no date"),
    pytest.param(row("0000-00-00"), "date_invalid", id="the vendor's nothing for a date"),
    pytest.param(row("2024-02-30"), "date_invalid", id="a day that there is not"),
    pytest.param(row("2024-01-10T00:00"), "date_invalid", id="a timestamp"),
    pytest.param(row(20240110), "date_invalid", id="a date as a number"),
    pytest.param(row("2024-W02-3"), "date_invalid", id="a date by its week"),
    pytest.param(row("2024-01-1\u0661"), "date_invalid", id="a digit of another script"),
    pytest.param(row("2024/01/10"), "date_invalid", id="slashes for hyphens"),
    pytest.param(row("2024-00-10"), "date_invalid", id="no month"),
    pytest.param(row("2024-01-00"), "date_invalid", id="no day"),
    pytest.param(row("2023-02-29"), "date_invalid", id="a leap day of no leap year"),
    pytest.param(row("2024-01-26"), "date_future", id="tomorrow"),
    pytest.param(row("2023-12-31"), "date_not_asked_for", id="a day before the first"),
    pytest.param(row(open=None), "price_invalid", id="a missing open"),
    pytest.param(row(close="NA"), "price_invalid", id="a close that is NA"),
    pytest.param(row(high=float("inf")), "price_invalid", id="an infinite high"),
    pytest.param(row(low=float("nan")), "price_invalid", id="a low that is no number"),
    pytest.param(row(close=True), "price_invalid", id="a close that is true"),
    pytest.param(row(high=1.7e308), "price_invalid", id="a high beyond all prices"),
    pytest.param(row(low=5e-324), "price_invalid", id="a low smaller than any price"),
    pytest.param(row(low=-1e308), "price_invalid", id="a low beyond all prices, below zero"),
    pytest.param(row(open=0), "price_not_positive", id="a price of nothing"),
    pytest.param(row(low=-9), "price_not_positive", id="a negative price"),
    pytest.param(row(low=10.5), "low_high_order", id="a low above the open"),
    pytest.param(row(high=10.5), "low_high_order", id="a high below the close"),
    pytest.param(row(low=12, high=9), "low_high_order", id="low and high swapped"),
    pytest.param(
        row(adjusted_close=0), "adjusted_close_invalid", id="an adjusted close of nothing"
    ),
    pytest.param(row(adjusted_close=None), "adjusted_close_invalid", id="no adjusted close"),
    pytest.param(
        row(adjusted_close=1e300), "adjusted_close_invalid", id="an adjusted close beyond all"
    ),
    pytest.param(
        row(adjusted_close=1e-300), "adjusted_close_invalid", id="an adjusted close of next to none"
    ),
    pytest.param(row(volume=-1), "volume_invalid", id="a negative volume"),
    pytest.param(row(volume=1.5), "volume_invalid", id="half a share"),
    pytest.param(row(volume=2**63), "volume_invalid", id="more than a bigint holds"),
    pytest.param(row(volume=""), "volume_invalid", id="no volume"),
]


@pytest.mark.parametrize(("bad", "rule"), BAD)
def test_a_bad_row_names_the_rule_that_it_breaks(bad: dict[str, Any], rule: str) -> None:
    found = sort_out([row("2024-01-09"), bad, row("2024-01-11")], FIRST, LAST, TODAY)
    assert [(each.rule, each.row) for each in found.bad] == [(rule, bad)]
    assert found.bad[0].date == parse_day(bad["date"])
    assert [bar[0].day for bar in listed(found.bars)] == [9, 11], "a row costs itself alone"


@pytest.mark.parametrize(("bad", "rule"), BAD)
def test_a_bad_row_of_a_bulk_day_costs_its_own_asset_alone(bad: dict[str, Any], rule: str) -> None:
    day = date(2024, 1, 10)
    found = sort_out_day([("A", row()), ("B", bad), ("C", row())], day, day)
    assert [each.rule for each in found.bad.values()] == [rule]
    assert (found.codes, list(found.bad)) == (("A", "C"), ["B"])
    assert [bar[0] for bar in listed(found.bars)] == [day, day]


def test_bars_come_out_by_date_whatever_the_order_of_the_rows() -> None:
    found = sort_out([row("2024-01-12"), row("2024-01-10"), row("2024-01-11")], FIRST, LAST, TODAY)
    assert [bar[0].day for bar in listed(found.bars)] == [10, 11, 12]
    assert found.bad == ()


def test_two_different_bars_of_a_day_are_both_set_aside() -> None:
    found = sort_out([row(), row(close=10.5), row("2024-01-11")], FIRST, LAST, TODAY)
    assert [bar[0].day for bar in listed(found.bars)] == [11]
    assert [(bad.date, bad.rule, bad.row) for bad in found.bad] == [
        (date(2024, 1, 10), "date_repeated", {"rows": [row(), row(close=10.5)]})
    ]


def test_rows_of_a_day_that_break_the_same_rule_are_all_kept() -> None:
    rows = [row(low=-1), row(low=-2), row(volume=-1), row(None), 7, row("")]
    assert [(bad.rule, bad.row) for bad in sort_out(rows, FIRST, LAST, TODAY).bad] == [
        ("price_not_positive", {"rows": rows[:2]}),
        ("volume_invalid", rows[2]),
        ("date_invalid", {"rows": [rows[3], rows[5]]}),
        ("row_invalid", {"row": 7}),
    ]


def test_a_row_that_says_the_same_again_says_nothing() -> None:
    found = sort_out([row(), row()], FIRST, LAST, TODAY)
    assert (len(found.bars), found.bad) == (1, ())


def test_what_is_no_row_is_set_aside() -> None:
    found = sort_out(["Unauthenticated", None], FIRST, LAST, TODAY)
    both = {"rows": [{"row": "Unauthenticated"}, {"row": None}]}
    assert [(bad.rule, bad.row) for bad in found.bad] == [("row_invalid", both)]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1.5", 1.5),
        (3, 3.0),
        ("1e3", 1000.0),
        *(
            (value, None)
            for value in ("1_000", "\uff11\uff12", "\u0661", "nan", "", None, True, [], 10**400)
        ),
    ],
)
def test_numbers(value: Any, number: float | None) -> None:
    assert parse_number(value) == number


@pytest.mark.parametrize(("value", "count"), [("12", 12), (12.0, 12), (12.5, None), (False, None)])
def test_counts(value: Any, count: int | None) -> None:
    assert parse_count(value) == count


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2024-01-02", date(2024, 1, 2)),
        ("0001-01-01", date(1, 1, 1)),
        *((value, None) for value in ("20240102", "2024-W01-2", "0000-00-00", "", None)),
    ],
)
def test_days(value: Any, day: date | None) -> None:
    assert parse_day(value) == day


def sample(path: str) -> list[dict[str, str]]:
    """The rows of a CSV sample with the JSON's names: blank first line and count line left out."""
    file = SAMPLES / path
    if not file.exists():
        pytest.skip("no shared data")
    lines = [line for line in file.read_text().splitlines() if "," in line]
    return [{key.lower(): value for key, value in row.items()} for row in csv.DictReader(lines)]


def test_a_real_history_keeps_every_rule() -> None:
    rows = sample("eod/AAPL.US_from_2018-01-01_to_2019-10-02.csv")
    found = sort_out(rows, date(2018, 1, 1), date(2019, 10, 2), date(2019, 10, 3))
    assert (len(found.bars), found.bad) == (441, ())
    first = (date(2018, 1, 2), 170.16, 172.3, 169.26, 172.26, 167.7017, 25555934)
    assert listed(found.bars)[0] == first


def test_every_bar_of_a_real_bulk_day_keeps_the_rules() -> None:
    rows = sample("eod-bulk-last-day/F_date_2019-09-25_.csv")
    day = date(2019, 9, 25)
    assert len(rows) == 20
    found = sort_out_day([(row["code"], row) for row in rows], day, day)
    assert (len(found.codes), len(found.bars), found.bad) == (20, 20, {})


# -- the rules said row by row ----------------------------------------------------


class Bar(NamedTuple):
    date: date
    open: float
    high: float
    low: float
    close: float
    adjusted_close: float
    volume: int


def check(row: Mapping[str, Any], first: date, last: date, today: date) -> Bar | str:
    """One row as a bar, or the rule that it breaks: what the vectorised rules must say too."""
    day = parse_day(row.get("date"))
    if day is None:
        return "date_invalid"
    if day > today:
        return "date_future"
    if not first <= day <= last:
        return "date_not_asked_for"
    o, h, l, c = (parse_number(row.get(name)) for name in ("open", "high", "low", "close"))  # noqa: E741
    if o is None or h is None or l is None or c is None:
        return "price_invalid"
    if not all(price == 0 or LEAST_PRICE <= abs(price) <= MOST_PRICE for price in (o, h, l, c)):
        return "price_invalid"
    if not (o > 0 and h > 0 and l > 0 and c > 0):
        return "price_not_positive"
    room = PRICE_TOLERANCE * max(o, c)
    if l > min(o, c) + room or h < max(o, c) - room:
        return "low_high_order"
    adjusted = parse_number(row.get("adjusted_close"))
    if adjusted is None or not LEAST_PRICE <= adjusted <= MOST_PRICE:
        return "adjusted_close_invalid"
    volume = parse_count(row.get("volume"))
    if volume is None or not 0 <= volume <= MAX_VOLUME:
        return "volume_invalid"
    return Bar(day, o, h, l, c, adjusted, volume)


def one_by_one(rows: Sequence[Any]) -> tuple[list[Bar], list[tuple[str, Any]]]:
    """Bars and what is set aside, each row after the other."""
    bars: dict[date, tuple[int, Bar]] = {}
    contradicted: set[date] = set()
    bad: list[tuple[int, str]] = []
    for at, each in enumerate(rows):
        found = check(each, FIRST, LAST, TODAY) if isinstance(each, dict) else "row_invalid"
        if isinstance(found, str):
            bad.append((at, found))
        elif found.date not in bars:
            bars[found.date] = (at, found)
        elif bars[found.date][1] != found:
            contradicted.add(found.date)
            bad.append((at, "date_repeated"))
    bad += [(bars.pop(day)[0], "date_repeated") for day in contradicted]
    return [bars[day][1] for day in sorted(bars)], [(rule, rows[at]) for at, rule in sorted(bad)]


ODD: list[Any] = [
    None, True, False, "", "NA", "nan", "inf", "1_0", "10", " 10 ", "10.00", "1e1", 0, -0.0, -1,
    10, 10.0, 10.0005, 9.9995, 10.0011, 2**63, 2**63 - 1, -(2**63), 2**80, 10**400, 1e308, 5e-324,
    float("nan"), float("inf"), float("-inf"), [], {}, "十",
]  # fmt: skip
DATES: list[Any] = [
    None, "", "0000-00-00", "2024-02-30", "20240110", "2024-W02-3", "2024-01-10T00:00",
    "2023-12-31", "2024-01-25", "2024-01-26", "2024-02-01", 20240110, "9999-12-31", "0001-01-01",
    "2024-01-1\0", "+024-01-10",
]  # fmt: skip


def random_row(chance: random.Random) -> Any:
    if chance.random() < 0.03:
        return chance.choice([None, [], "row", 7])
    made = row(f"2024-01-{chance.randint(1, 9):02}", close=chance.choice([10, 11, 11.0]))
    for name in made:
        if chance.random() < 0.04:
            made[name] = chance.choice(DATES if name == "date" else ODD)
        elif chance.random() < 0.02:
            del made[name]
            break
    return made


def test_a_truth_value_is_no_number_beside_numbers_that_equal_it() -> None:
    of_one = dict.fromkeys(("open", "high", "low", "close", "adjusted_close"), 1)
    rows = [row("2024-01-10", **of_one), row("2024-01-11", **of_one | {"close": True})]
    found = sort_out([*rows, row("2024-01-12", **of_one, volume=True)], FIRST, LAST, TODAY)
    assert [day for day, *_ in listed(found.bars)] == [date(2024, 1, 10)]
    assert [bad.rule for bad in found.bad] == ["price_invalid", "volume_invalid"]


def test_dates_that_are_dates_only_one_after_another_are_none() -> None:
    found = sort_out([row("2024-01-1"), row("02024-01-11"), row("2024-01-12")], FIRST, LAST, TODAY)
    assert [day for day, *_ in listed(found.bars)] == [date(2024, 1, 12)]
    assert [bad.rule for bad in found.bad] == ["date_invalid"]
    assert found.bad[0].row == {"rows": [row("2024-01-1"), row("02024-01-11")]}


@pytest.mark.parametrize("seed", range(40))
def test_all_rows_at_once_are_judged_as_one_by_one(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(25):
        rows = [random_row(chance) for _ in range(chance.choice([0, 1, 2, 12, 40]))]
        bars, bad = one_by_one(rows)
        found = sort_out(rows, FIRST, LAST, TODAY)
        assert listed(found.bars) == bars
        apart = [
            (bad.rule, each)
            for bad in found.bad
            for each in (bad.row["rows"] if bad.row.keys() == {"rows"} else [bad.row])
        ]
        one_each = [(rule, {"row": each} if rule == "row_invalid" else each) for rule, each in bad]
        assert sorted(apart, key=str) == sorted(one_each, key=str)
        whole = [(str(at), each) for at, each in enumerate(rows) if isinstance(each, dict)]
        day = sort_out_day(whole, FIRST, TODAY)
        expected = {code: check(each, FIRST, FIRST, TODAY) for code, each in whole}
        assert dict(zip(day.codes, listed(day.bars), strict=True)) == {
            code: each for code, each in expected.items() if isinstance(each, Bar)
        }
        assert {code: each.rule for code, each in day.bad.items()} == {
            code: each for code, each in expected.items() if isinstance(each, str)
        }


# -- columns ----------------------------------------------------------------------


def bars_of(*days: str, close: float = 11) -> Bars:
    found: Sorted = sort_out([row(day, close=close) for day in days], FIRST, LAST, TODAY)
    return found.bars


def test_of_two_bars_of_a_day_the_newer_one_counts() -> None:
    merged = merge(
        bars_of("2024-01-02", "2024-01-04"), bars_of("2024-01-03", "2024-01-04", close=10)
    )
    assert [(bar[0].day, bar[4]) for bar in listed(merged)] == [(2, 11), (3, 10), (4, 10)]


def test_bars_merged_with_none_are_themselves() -> None:
    some = bars_of("2024-01-02")
    assert merge(some, Bars.empty()).same(some) and merge(Bars.empty(), some).same(some)
    assert not some.same(Bars.empty())


def test_nobody_changes_bars() -> None:
    with pytest.raises(ValueError, match="read-only"):
        bars_of("2024-01-02").close[0] = 1


def test_bars_are_taken_by_mask_or_place() -> None:
    bars = bars_of("2024-01-02", "2024-01-03", "2024-01-04")
    assert bars.take(np.array([False, True, True])).same(bars.take(slice(1, 3)))
    assert bars.take(np.array([0])).last_date == date(2024, 1, 2)
