"""Frames as people have them: the same numbers whatever the types, and a message that names the
column where there can be none."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from screener_analyzer import indicators
from screener_analyzer.registry import COLUMNS

Change = Callable[[pd.DataFrame], pd.DataFrame]
NAMES = ["sma_50", "rsi_14", "obv", "return_1m", "current_price"]


def frame_of(seed: int, length: int = 120) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(random.normal(0, 0.02, length)))
    return pd.DataFrame(
        {
            "open": close * 0.99,
            "high": close * 1.01,
            "low": close * 0.98,
            "close": close,
            "volume": random.integers(1_000, 99_999, length),
        },
        index=pd.bdate_range("2022-01-03", periods=length),
    )


def long_of(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    parts = [frame.assign(ticker=ticker) for ticker, frame in frames.items()]
    return pd.concat(parts).rename_axis("date").reset_index()


def wide_of(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, axis=1, sort=True).swaplevel(axis=1)


ONE = frame_of(1)
TWO = {"A.US": frame_of(1), "B.US": frame_of(2, 80)}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: f.tz_localize("America/New_York"), id="with a time zone"),
        pytest.param(lambda f: f.set_axis(f.index + pd.Timedelta(hours=16)), id="with a time"),
        pytest.param(lambda f: f.set_axis(f.index.as_unit("s")), id="dates of seconds"),
        pytest.param(lambda f: f.set_axis(f.index.as_unit("ns")), id="dates of nanoseconds"),
        pytest.param(lambda f: f.astype({"volume": "int32"}), id="int32 volume"),
        pytest.param(lambda f: f.astype({"volume": "Int64"}), id="nullable volume"),
        pytest.param(lambda f: f.convert_dtypes(), id="nullable floats"),
        pytest.param(lambda f: f.astype(object), id="objects"),
        pytest.param(lambda f: f.assign(name="Acme", close_1=3), id="other columns"),
        pytest.param(lambda f: f[f.columns[::-1]], id="another order of columns"),
        pytest.param(lambda f: f.assign(adjusted_close=f["close"]), id="nothing to adjust"),
    ],
)
def test_types_and_other_columns_change_no_number(change: Change) -> None:
    changed = change(ONE)
    before = changed.copy()
    found = indicators(changed, NAMES)
    pd.testing.assert_frame_equal(changed, before)
    assert found.index.equals(changed.index)
    assert (found.dtypes == "float64").all()
    np.testing.assert_array_equal(found.to_numpy(), indicators(ONE, NAMES).to_numpy())


@pytest.mark.parametrize("nothing", [np.nan, None, pd.NA, np.inf])
def test_what_is_not_there_is_a_hole(nothing: object) -> None:
    changed = ONE.astype(object)
    changed.iloc[60, changed.columns.get_indexer(["close"])[0]] = nothing
    found = indicators(changed, NAMES)
    right = indicators(ONE, NAMES)
    np.testing.assert_array_equal(found[:60].to_numpy(), right[:60].to_numpy())
    assert found["sma_50"].iloc[60:110].isna().all()
    assert found["sma_50"].iloc[110:].notna().all()
    assert found["obv"].iloc[60:].isna().all()


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (None, list(COLUMNS)),
        ([], []),
        ("rsi_14", ["rsi_14"]),
        (["rsi_14", "obv", "rsi_14"], ["rsi_14", "obv"]),
        ((name for name in ("obv", "rsi_14")), ["obv", "rsi_14"]),
    ],
    ids=["all", "none", "one as a text", "one twice", "a generator"],
)
def test_the_answer_has_the_columns_that_are_asked_for(
    names: list[str] | None, columns: list[str]
) -> None:
    assert list(indicators(ONE, names).columns) == columns


@pytest.mark.parametrize("length", [0, 1, 2])
def test_short_frames_of_each_shape_have_their_rows(length: int) -> None:
    short = {ticker: frame[:length] for ticker, frame in TWO.items()}
    assert indicators(short["A.US"]).shape == (length, len(COLUMNS))
    assert indicators(long_of(short)).shape == (2 * length, 2 + len(COLUMNS))
    assert indicators(wide_of(short)).shape == (length, 2 * len(COLUMNS))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: f, id="as it is"),
        pytest.param(lambda f: f.sort_values(["date", "ticker"]), id="by date"),
        pytest.param(lambda f: f.assign(date=f["date"].dt.strftime("%Y-%m-%d")), id="texts"),
        pytest.param(lambda f: f.assign(date=f["date"].dt.date), id="dates of Python"),
        pytest.param(lambda f: f.assign(date=f["date"].dt.tz_localize("UTC")), id="a time zone"),
        pytest.param(lambda f: f.astype({"ticker": "category"}), id="categories"),
        pytest.param(lambda f: f.set_axis([0] * len(f)), id="an index of one value"),
    ],
)
def test_a_long_frame_gives_each_row_its_assets_numbers(change: Change) -> None:
    long = change(long_of(TWO))
    found = indicators(long, NAMES)
    pd.testing.assert_frame_equal(found[["ticker", "date"]], long[["ticker", "date"]])
    for ticker, frame in TWO.items():
        mine = found[found["ticker"] == ticker]
        np.testing.assert_array_equal(mine[NAMES].to_numpy(), indicators(frame, NAMES).to_numpy())


def test_a_wide_frame_gives_each_asset_its_numbers_and_no_row_more() -> None:
    holey = TWO["A.US"].drop(TWO["A.US"].index[[30, 31]])  # not traded, and not set aside
    frames = {"A.US": holey, "B.US": TWO["B.US"].assign(adjusted_close=1.0)}
    wide = wide_of(frames)
    for ticker in frames:
        wide[("name", ticker)] = "Acme"
    found = indicators(wide, NAMES)
    assert found.index.equals(wide.index)
    assert list(found.columns) == [(name, ticker) for name in NAMES for ticker in frames]
    for ticker, frame in frames.items():
        mine = found.xs(ticker, axis=1, level=1)
        pd.testing.assert_frame_equal(
            mine.loc[frame.index], indicators(frame, NAMES), check_freq=False
        )
        assert mine.drop(frame.index).isna().all(axis=None)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        pytest.param(ONE.drop(columns="volume"), "no column volume", id="no volume"),
        pytest.param(ONE.rename(columns=str.title), "no column open, high, low", id="capitals"),
        pytest.param(pd.DataFrame(), "no column open", id="nothing at all"),
        pytest.param(
            pd.concat([ONE, ONE[["close"]]], axis=1), "column close is there twice", id="twice"
        ),
        pytest.param(
            ONE.assign(high="dear"), "column high: could not convert string", id="a price in words"
        ),
        pytest.param(
            ONE.assign(volume=[object()] * len(ONE)), "column volume: ", id="an object for a volume"
        ),
        pytest.param(ONE.reset_index(drop=True), "a DatetimeIndex, not RangeIndex", id="no dates"),
        pytest.param(
            ONE.set_axis(ONE.index.strftime("%Y-%m-%d")), "a DatetimeIndex, not Index", id="texts"
        ),
        pytest.param(
            ONE[::-1],
            "dates must ascend, each once: 2022-06-16 00:00:00 follows 2022-06-17 00:00:00",
            id="newest first",
        ),
        pytest.param(pd.concat([ONE, ONE[-1:]]), "dates must ascend, each once", id="a day twice"),
        pytest.param(
            ONE.set_axis(ONE.index.where(ONE.index != ONE.index[5])), "1 of 120 dates are missing",
            id="a date that is none",
        ),
        pytest.param(
            long_of(TWO).drop(columns="date"), "needs one of dates: date", id="long without dates"
        ),
        pytest.param(
            long_of(TWO).assign(date="soon"), "column date: ", id="a text that is no date"
        ),
        pytest.param(
            long_of(TWO).assign(date=range(200)), "column date: numbers (int64) are no dates",
            id="numbers for dates",
        ),
        pytest.param(
            long_of(TWO).assign(date=[None, *[dt.date(2022, 1, 3)] * 199]),
            "column date: 1 of 200 are missing", id="a missing date",
        ),
        pytest.param(
            long_of(TWO).replace({"ticker": {"B.US": None}}),
            "column ticker: 80 of 200 are missing", id="missing tickers",
        ),
        pytest.param(
            pd.concat([long_of(TWO), long_of(TWO)[["date"]]], axis=1),
            "column date is there twice", id="two columns of dates",
        ),
        pytest.param(
            pd.concat([long_of(TWO), long_of(TWO)[-1:]]),
            "B.US: dates must ascend, each once: 2022-04-22", id="a day of an asset twice",
        ),
        pytest.param(
            long_of(TWO).drop(columns="low"), "A.US: the frame has no column low", id="long, no low"
        ),
        pytest.param(
            wide_of(TWO).drop(columns=[("close", "B.US")]), "B.US: the frame has no column close",
            id="wide, no close of one",
        ),
        pytest.param(
            wide_of(TWO).swaplevel(axis=1), "columns must be (field, ticker), and none is of open",
            id="(ticker, field)",
        ),
        pytest.param(
            pd.concat({"x": wide_of(TWO)}, axis=1), "(field, ticker), not of 3 levels",
            id="three levels",
        ),
        pytest.param(
            wide_of(TWO).reset_index(drop=True), "a DatetimeIndex, not RangeIndex", id="wide"
        ),
    ],
)  # fmt: skip
def test_a_frame_that_none_can_be_computed_of_is_refused(frame: pd.DataFrame, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        indicators(frame, NAMES)
    assert said in str(caught.value)


@pytest.mark.parametrize("nothing", [None, ONE["close"], {"close": [1.0]}, [1.0]])
def test_what_is_no_frame_is_refused(nothing: object) -> None:
    with pytest.raises(TypeError, match="a DataFrame is wanted, not "):
        indicators(nothing)  # type: ignore[arg-type]


@pytest.mark.parametrize("names", ["sma_51", ["rsi_14", "sma_51"], [51], [None]])
def test_an_unknown_name_is_refused_with_those_that_there_are(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"no such indicator: (sma_51|51|None); there are sma_50,"):
        indicators(ONE, names)


def test_an_unknown_way_of_adjusting_is_refused() -> None:
    with pytest.raises(ValueError, match="adjusted: 'some'; one of all, splits, none"):
        indicators(ONE, NAMES, adjusted="some")  # type: ignore[arg-type]
