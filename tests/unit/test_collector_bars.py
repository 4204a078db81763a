"""The rules that a bar must keep, and what becomes of those that do not."""

import csv
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from screener_collector.bars import (
    BadBar,
    Bar,
    check,
    parse_count,
    parse_day,
    parse_number,
    sort_out,
)

FIRST, LAST, TODAY = date(2024, 1, 1), date(2024, 1, 31), date(2024, 1, 25)
SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "eodhd"


def row(day: Any = "2024-01-10", **change: Any) -> dict[str, Any]:
    good = {"open": 10, "high": 12, "low": 9, "close": 11, "adjusted_close": 10.5, "volume": 5}
    return {"date": day, **good, **change}


GOOD = [
    pytest.param(row(), id="whole prices as integers"),
    pytest.param(row(open="10", volume="5"), id="numbers as texts"),
    pytest.param(row(volume=5.0), id="a whole volume as a float"),
    pytest.param(row(warning="Data is limited by one year"), id="a key more, as free plans have"),
]


@pytest.mark.parametrize("good", GOOD)
def test_a_good_row_is_a_bar(good: dict[str, Any]) -> None:
    assert check(good, FIRST, LAST, TODAY) == Bar(date(2024, 1, 10), 10, 12, 9, 11, 10.5, 5)


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
    assert isinstance(check(edge, FIRST, LAST, TODAY), Bar)


BAD = [
    pytest.param(row(None), "date_invalid", id="no date"),
    pytest.param(row("0000-00-00"), "date_invalid", id="the vendor's nothing for a date"),
    pytest.param(row("2024-02-30"), "date_invalid", id="a day that there is not"),
    pytest.param(row("2024-01-10T00:00"), "date_invalid", id="a timestamp"),
    pytest.param(row(20240110), "date_invalid", id="a date as a number"),
    pytest.param(row("2024-01-26"), "date_future", id="tomorrow"),
    pytest.param(row("2023-12-31"), "date_not_asked_for", id="a day before the first"),
    pytest.param(row(open=None), "price_invalid", id="a missing open"),
    pytest.param(row(close="NA"), "price_invalid", id="a close that is NA"),
    pytest.param(row(high=float("inf")), "price_invalid", id="an infinite high"),
    pytest.param(row(low=float("nan")), "price_invalid", id="a low that is no number"),
    pytest.param(row(close=True), "price_invalid", id="a close that is true"),
    pytest.param(row(open=0), "price_not_positive", id="a price of nothing"),
    pytest.param(row(low=-9), "price_not_positive", id="a negative price"),
    pytest.param(row(low=10.5), "low_high_order", id="a low above the open"),
    pytest.param(row(high=10.5), "low_high_order", id="a high below the close"),
    pytest.param(row(low=12, high=9), "low_high_order", id="low and high swapped"),
    pytest.param(
        row(adjusted_close=0), "adjusted_close_invalid", id="an adjusted close of nothing"
    ),
    pytest.param(row(adjusted_close=None), "adjusted_close_invalid", id="no adjusted close"),
    pytest.param(row(volume=-1), "volume_invalid", id="a negative volume"),
    pytest.param(row(volume=1.5), "volume_invalid", id="half a share"),
    pytest.param(row(volume=2**63), "volume_invalid", id="more than a bigint holds"),
    pytest.param(row(volume=""), "volume_invalid", id="no volume"),
]


@pytest.mark.parametrize(("bad", "rule"), BAD)
def test_a_bad_row_names_the_rule_that_it_breaks(bad: dict[str, Any], rule: str) -> None:
    found = check(bad, FIRST, LAST, TODAY)
    assert isinstance(found, BadBar)
    assert (found.rule, found.row) == (rule, bad)


def test_bars_come_out_by_date_whatever_the_order_of_the_rows() -> None:
    found = sort_out([row("2024-01-12"), row("2024-01-10"), row("2024-01-11")], FIRST, LAST, TODAY)
    assert [bar.date.day for bar in found.bars] == [10, 11, 12]
    assert found.bad == ()


def test_two_different_bars_of_a_day_are_both_set_aside() -> None:
    found = sort_out([row(), row(close=10.5), row("2024-01-11")], FIRST, LAST, TODAY)
    assert [bar.date.day for bar in found.bars] == [11]
    assert [(bad.rule, bad.row["close"]) for bad in found.bad] == [
        ("date_repeated", 10.5),
        ("date_repeated", 11),
    ]


def test_a_row_that_says_the_same_again_says_nothing() -> None:
    found = sort_out([row(), row()], FIRST, LAST, TODAY)
    assert (len(found.bars), found.bad) == (1, ())


def test_what_is_no_row_is_set_aside() -> None:
    found = sort_out(["Unauthenticated", None], FIRST, LAST, TODAY)
    assert [bad.rule for bad in found.bad] == ["row_invalid", "row_invalid"]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1.5", 1.5),
        (3, 3.0),
        ("1e3", 1000.0),
        *((value, None) for value in ("1_000", "nan", "", None, True, [], 10**400)),
    ],
)
def test_numbers(value: Any, number: float | None) -> None:
    assert parse_number(value) == number


@pytest.mark.parametrize(("value", "count"), [("12", 12), (12.0, 12), (12.5, None), (False, None)])
def test_counts(value: Any, count: int | None) -> None:
    assert parse_count(value) == count


@pytest.mark.parametrize(("value", "day"), [("2024-01-02", date(2024, 1, 2)), ("20240102", None)])
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
    assert found.bars[0] == Bar(date(2018, 1, 2), 170.16, 172.3, 169.26, 172.26, 167.7017, 25555934)


def test_every_bar_of_a_real_bulk_day_keeps_the_rules() -> None:
    rows = sample("eod-bulk-last-day/F_date_2019-09-25_.csv")
    day = date(2019, 9, 25)
    assert len(rows) == 20
    assert all(isinstance(check(row, day, day, day), Bar) for row in rows)
