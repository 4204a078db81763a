"""Core: the indicators of pandas frames: every row, under the registry's names."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from screener_analyzer.engine import compute
from screener_analyzer.panel import Adjusted, panel
from screener_analyzer.registry import COLUMNS, REGISTRY

PRICES = ("open", "high", "low", "close")


def indicators(
    frame: pd.DataFrame,
    names: Iterable[str] | None = None,
    *,
    adjusted: Adjusted = "all",
    rebased: bool = False,
) -> pd.DataFrame:
    """The columns `names` (None: all of the registry), one row for each row of `frame`.

    `frame` is one of three:

    * one asset: a DatetimeIndex; columns open, high, low, close, volume, and if there are any
      adjusted_close, split_factor (what the close is multiplied by to be adjusted for splits) and
      benchmark (its close of the day). The answer has the same index.
    * long: columns ticker and date beside those; the answer has the same index and these two.
    * wide: columns (field, ticker) and a DatetimeIndex; the answer's columns are (name, ticker). A
      ticker's rows without any field are not bars.

    Without adjusted_close the prices are taken as they are. `rebased`: each row as it was on its
    own day, as runs store them; otherwise all of one series, the last close quoted. Raises
    ValueError for an unknown name, a missing column, and dates that do not ascend.
    """
    wanted = list(COLUMNS if names is None else names)
    unknown = sorted(set(wanted) - set(COLUMNS))
    if unknown:
        raise ValueError(f"no such indicator: {', '.join(unknown)}; there are {', '.join(COLUMNS)}")

    def one(bars: pd.DataFrame) -> pd.DataFrame:
        return _of_one(bars, wanted, adjusted, rebased)

    if isinstance(frame.columns, pd.MultiIndex):
        parts = {
            ticker: one(part.droplevel(1, axis=1).dropna(how="all"))
            for ticker, part in frame.T.groupby(level=1, sort=False)
            for part in (part.T,)
        }
        if not parts:
            return frame.iloc[:, :0]
        wide = pd.concat(parts, axis=1).reindex(frame.index).swaplevel(axis=1)
        return wide[[(name, ticker) for name in wanted for ticker in parts]]
    if "ticker" not in frame.columns:
        return one(frame)
    if "date" not in frame.columns:
        raise ValueError("a frame with a column ticker needs one of dates: date")
    places = pd.Series(np.arange(len(frame)))
    values = np.full((len(frame), len(wanted)), np.nan)
    for _, at in places.groupby(frame["ticker"].to_numpy(), sort=False):
        part = frame.iloc[at.to_numpy()]
        part = part.set_axis(pd.DatetimeIndex(part["date"]), axis=0)
        values[at.to_numpy()] = one(part).to_numpy()
    found = pd.DataFrame(values, index=frame.index, columns=wanted)
    return pd.concat([frame[["ticker", "date"]], found], axis=1)


def _of_one(
    bars: pd.DataFrame, names: list[str], adjusted: Adjusted, rebased: bool
) -> pd.DataFrame:
    missing = [name for name in (*PRICES, "volume") if name not in bars.columns]
    if missing:
        raise ValueError(f"the frame has no column {', '.join(missing)}")
    if not isinstance(bars.index, pd.DatetimeIndex):
        raise ValueError("the frame's index must be a DatetimeIndex")
    if not bars.index.is_monotonic_increasing or not bars.index.is_unique:
        raise ValueError("dates must ascend, each once")
    if not len(bars):
        return pd.DataFrame(index=bars.index, columns=names, dtype="float64")

    def column(name: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]] | None":
        if name not in bars.columns:
            return None
        return bars[name].to_numpy(dtype=np.float64)

    close = bars["close"].to_numpy(dtype=np.float64)
    adjusted_close = column("adjusted_close")
    fields = [bars[name].to_numpy(dtype=np.float64) for name in PRICES]
    fields.append(close if adjusted_close is None else adjusted_close)
    fields.append(bars["volume"].to_numpy(dtype=np.float64))
    days = bars.index.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int32)
    whole = panel(
        np.stack(fields, axis=1),
        [len(bars)],
        dates=days,
        split_factors=column("split_factor"),
        benchmark=column("benchmark"),
        whole=np.ones(1, dtype=np.bool_),
        adjusted=adjusted,
        rebased=rebased,
    )
    chosen = [row for row in REGISTRY if any(output.column in names for output in row.outputs)]
    computed = compute(whole, chosen, rows=len(bars))
    return pd.DataFrame({name: computed[name][:, 0] for name in names}, index=bars.index)
