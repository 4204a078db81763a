"""Core: the bars of one asset as the judge sees them."""

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.bars import Benchmark

Series = NDArray[np.float64]
"""(bars,): oldest first."""
Adjusted = Literal["all", "splits", "none"]


@dataclass(frozen=True, eq=False, slots=True)
class History:
    """An asset's stored bars, adjusted, in prices and shares of the last one's day. A bar that was
    set aside is there, and not a number."""

    open: Series
    high: Series
    low: Series
    close: Series
    volume: Series
    raw_close: Series
    split_high: Series
    """Adjusted for splits, not for dividends; so are the next two."""
    split_low: Series
    split_close: Series
    dates: NDArray[np.int32]
    """Days since 2000-01-01."""
    benchmark: Series
    """Its adjusted close of each bar's day; not a number where it has none."""
    minor_units: float
    """How many of the unit of the price make one of its currency; not a number: not known."""

    def __len__(self) -> int:
        return len(self.close)

    @classmethod
    def of(
        cls,
        bars: NDArray[np.float64],
        splits: Series,
        dates: NDArray[np.int32],
        *,
        adjusted: Adjusted = "all",
        benchmark: Benchmark | None = None,
        minor_units: float = 1.0,
    ) -> "History":
        """From the stored ones (bars, open high low close adj_close volume), oldest first, and what
        adjusts each for the splits since."""
        close = bars[:, 3]
        ones = np.ones(len(bars))
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = _rebased({"all": bars[:, 4] / close, "splits": splits, "none": ones}[adjusted])
            by_splits = ones if adjusted == "none" else _rebased(splits)
            prices = bars[:, :4] * factor[:, np.newaxis]
            ranges = bars[:, 1:4] * by_splits[:, np.newaxis]
            # Stored volume is in shares of after all splits.
            volume = bars[:, 5] * (splits if adjusted == "none" else splits[-1])
        theirs = np.full(len(bars), np.nan)
        if benchmark is not None:
            closes = dict(zip(benchmark.dates.tolist(), benchmark.closes.tolist(), strict=True))
            theirs = np.array([closes.get(day, np.nan) for day in dates.tolist()])
        open_, high, low, adjusted_close = np.ascontiguousarray(prices.T)
        split_high, split_low, split_close = np.ascontiguousarray(ranges.T)
        return cls(
            open=open_,
            high=high,
            low=low,
            close=adjusted_close,
            volume=volume,
            raw_close=close,
            split_high=split_high,
            split_low=split_low,
            split_close=split_close,
            dates=dates,
            benchmark=theirs,
            minor_units=minor_units,
        )

    def after_old_hole(self, bars: int) -> "History":
        """Since the last bar that is not a number of those before the last `bars`: a run that reads
        so many does not see it. All where there is none."""
        holes = np.flatnonzero(np.isnan(self.raw_close[: max(0, len(self) - bars)]))
        return self.last(len(self) - 1 - int(holes[-1])) if len(holes) else self

    def last(self, bars: int) -> "History":
        """Its last `bars` bars."""
        if bars >= len(self):
            return self
        series = [each.name for each in fields(self) if each.name != "minor_units"]
        return replace(self, **{name: getattr(self, name)[-bars:] for name in series})


def _rebased(factor: Series) -> Series:
    last = factor[-1]
    return factor / last if np.isfinite(last) and last > 0 else factor
