"""Core: the indicators of pandas frames: every row, under the registry's names."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from screener_analyzer.engine import compute
from screener_analyzer.panel import Adjusted, panel
from screener_analyzer.registry import COLUMNS, REGISTRY

PRICES = ("open", "high", "low", "close")
FIELDS = (*PRICES, "volume", "adjusted_close", "split_factor", "benchmark")
"""What is read of a frame."""


def indicators(
    frame: pd.DataFrame,
    names: Iterable[str] | None = None,
    *,
    adjusted: Adjusted = "all",
    rebased: bool = False,
) -> pd.DataFrame:
    """The columns `names` (None: all of the registry; one may stand alone), one row for each row of
    `frame`.

    `frame` is one of three:

    * one asset: a DatetimeIndex; columns open, high, low, close, volume, and if there are any
      adjusted_close, split_factor (what the close is multiplied by to be adjusted for splits) and
      benchmark (its close of the day). The answer has the same index.
    * long: columns ticker and date beside those; the answer has the same index and these two.
    * wide: columns (field, ticker) and a DatetimeIndex; the answer's columns are (name, ticker). A
      ticker's rows without any field are not bars.

    Without adjusted_close the prices are taken as they are; other columns are left alone.
    `rebased`: each row as it was on its own day, as runs store them; otherwise all of one series,
    the last close quoted.

    `frame` is not changed. Raises TypeError for what is no frame, and ValueError, which names the
    column (and the ticker where there are many), for an unknown name, a column that is missing,
    twice there or no numbers, and dates that are none or do not ascend.
    """
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"a DataFrame is wanted, not {type(frame).__name__}")
    wanted = list(dict.fromkeys(_names(names)))

    def one(bars: pd.DataFrame, ticker: object = None) -> pd.DataFrame:
        try:
            return _of_one(bars, wanted, adjusted, rebased)
        except ValueError as error:
            raise error if ticker is None else ValueError(f"{ticker}: {error}") from None

    if isinstance(frame.columns, pd.MultiIndex):
        return _of_wide(frame, wanted, one)
    if "ticker" in frame.columns:
        return _of_long(frame, wanted, one)
    return one(frame)


Compute = Callable[[pd.DataFrame, object], pd.DataFrame]
"""(one asset's frame, its ticker) -> its answer."""


def _names(names: Iterable[str] | None) -> list[str]:
    if names is None:
        return list(COLUMNS)
    wanted = [names] if isinstance(names, str) else list(names)
    unknown = sorted({str(name) for name in wanted} - set(COLUMNS))
    if unknown:
        raise ValueError(f"no such indicator: {', '.join(unknown)}; there are {', '.join(COLUMNS)}")
    return wanted


def _of_wide(frame: pd.DataFrame, names: list[str], one: Compute) -> pd.DataFrame:
    if frame.columns.nlevels != 2:
        raise ValueError(f"columns must be (field, ticker), not of {frame.columns.nlevels} levels")
    fields, tickers = (frame.columns.get_level_values(level) for level in (0, 1))
    if not fields.isin(FIELDS).any():
        raise ValueError("columns must be (field, ticker), and none is of open to volume")
    known = pd.Series(np.flatnonzero(fields.isin(FIELDS)))
    parts = {}
    for ticker, places in known.groupby(tickers[known].to_numpy(), sort=False):
        part = frame.iloc[:, places.to_numpy()].droplevel(1, axis=1).dropna(how="all")
        found = one(part, ticker)
        parts[ticker] = found if len(found) == len(frame) else found.reindex(frame.index)
    wide = pd.concat(parts, axis=1).swaplevel(axis=1)
    return wide[[(name, ticker) for name in names for ticker in parts]]


def _of_long(frame: pd.DataFrame, names: list[str], one: Compute) -> pd.DataFrame:
    for name in ("ticker", "date"):
        if name not in frame.columns:
            raise ValueError("a frame with a column ticker needs one of dates: date")
        if frame.columns.tolist().count(name) > 1:
            raise ValueError(f"column {name} is there twice")
        if frame[name].isna().any():
            raise ValueError(
                f"column {name}: {int(frame[name].isna().sum())} of {len(frame)} are missing"
            )
    if pd.api.types.is_numeric_dtype(frame["date"].dtype):
        raise ValueError(f"column date: numbers ({frame['date'].dtype}) are no dates")
    try:
        dates = pd.DatetimeIndex(frame["date"])
    except (ValueError, TypeError) as error:
        raise ValueError(f"column date: {error}") from None
    values = np.full((len(frame), len(names)), np.nan)
    places = pd.Series(np.arange(len(frame)))
    for ticker, of_ticker in places.groupby(frame["ticker"].to_numpy(), sort=False):
        at = of_ticker.to_numpy()
        values[at] = one(frame.iloc[at].set_axis(dates[at], axis=0), ticker).to_numpy()
    found = pd.DataFrame(values, index=frame.index, columns=names)
    return pd.concat([frame[["ticker", "date"]], found], axis=1)


def _of_one(
    bars: pd.DataFrame, names: list[str], adjusted: Adjusted, rebased: bool
) -> pd.DataFrame:
    missing = [name for name in (*PRICES, "volume") if name not in bars.columns]
    if missing:
        raise ValueError(f"the frame has no column {', '.join(missing)}")
    dates = _dates(bars.index)
    if not len(bars):
        return pd.DataFrame(index=bars.index, columns=names, dtype="float64")
    columns = {name: _numbers(bars, name) for name in FIELDS if name in bars.columns}
    fields = [columns[name] for name in PRICES]
    fields.append(columns.get("adjusted_close", columns["close"]))
    # Nothing adds up across a bar without a close, as with stored bars that were set aside.
    fields.append(np.where(np.isfinite(columns["close"]), columns["volume"], np.nan))
    days = dates.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int32)
    whole = panel(
        np.stack(fields, axis=1),
        [len(bars)],
        dates=days,
        split_factors=columns.get("split_factor"),
        benchmark=columns.get("benchmark"),
        whole=np.ones(1, dtype=np.bool_),
        adjusted=adjusted,
        rebased=rebased,
    )
    chosen = [row for row in REGISTRY if any(output.column in names for output in row.outputs)]
    computed = compute(whole, chosen, rows=len(bars))
    return pd.DataFrame({name: computed[name][:, 0] for name in names}, index=bars.index)


def _dates(index: pd.Index) -> pd.DatetimeIndex:
    if not isinstance(index, pd.DatetimeIndex):
        raise ValueError(
            f"the frame's index must be a DatetimeIndex, not {type(index).__name__};"
            " a frame of many assets has columns ticker and date"
        )
    if index.hasnans:
        raise ValueError(f"{len(index) - len(index.dropna())} of {len(index)} dates are missing")
    before, after = index[:-1], index[1:]
    wrong = np.flatnonzero(after <= before)
    if len(wrong):
        first = int(wrong[0])
        raise ValueError(f"dates must ascend, each once: {after[first]} follows {before[first]}")
    return index


def _numbers(bars: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A column as floats, NaN for what is not there."""
    found = bars[name]
    if isinstance(found, pd.DataFrame):
        raise ValueError(f"column {name} is there twice")
    try:
        return found.to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise ValueError(f"column {name}: {error}") from None
