"""Stored bars become one adjusted series."""

import datetime as dt
import math

import pandas as pd
import pytest

from screener_analyzer.series import Bar, adjusted

DAY = dt.date(2024, 1, 2)


def bar(day: int, close: float, adj_close: float, volume: int = 100) -> Bar:
    return Bar(DAY + dt.timedelta(day), close - 1, close + 2, close - 2, close, adj_close, volume)


def test_every_price_of_a_day_is_scaled_and_volume_is_not() -> None:
    frame = adjusted([bar(0, 100, 25, volume=7), bar(1, 30, 30, volume=9)])
    assert frame.to_dict("list") == {
        "open": [24.75, 29.0],
        "high": [25.5, 32.0],
        "low": [24.5, 28.0],
        "close": [25.0, 30.0],
        "volume": [7.0, 9.0],
        "raw_high": [102.0, 32.0],
        "raw_low": [98.0, 28.0],
        "raw_close": [100.0, 30.0],
    }


def test_the_index_counts_from_0() -> None:
    frame = adjusted([bar(0, 100, 100), bar(5, 101, 101)])
    assert isinstance(frame.index, pd.RangeIndex)
    assert list(frame.index) == [0, 1]


def test_a_split_leaves_no_jump() -> None:
    before = [bar(day, 400.0, 100.0) for day in range(30)]
    after = [bar(day, 100.0, 100.0) for day in range(30, 60)]
    assert adjusted(before + after)["close"].pct_change().abs().max() == 0.0


def test_a_bar_without_range_has_none_after_adjusting() -> None:
    flat = Bar(DAY, 10.1, 10.1, 10.1, 10.1, 7.7777, 5)
    row = adjusted([flat]).iloc[0]
    assert row["open"] == row["high"] == row["low"] == row["close"]


def test_no_bars_give_an_empty_frame() -> None:
    assert len(adjusted([])) == 0


@pytest.mark.parametrize("days", [(1, 0), (1, 1)], ids=["newest first", "a day twice"])
def test_dates_must_ascend(days: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="ascend"):
        adjusted([bar(day, 10, 10) for day in days])


@pytest.mark.parametrize(
    ("close", "adj_close"),
    [(0.0, 0.0), (math.nan, 5.0), (5.0, math.nan)],
    ids=["close of 0", "close missing", "adjusted close missing"],
)
def test_what_is_not_finite_stays_so(close: float, adj_close: float) -> None:
    frame = adjusted([bar(0, close, adj_close)])
    assert not math.isfinite(frame["close"].iloc[0])
