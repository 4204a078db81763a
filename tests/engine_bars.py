"""Bars of one asset for tests of the engine and its judge, random and real."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import NamedTuple

import fault_series
import numpy as np

from screener_analyzer import judge
from screener_analyzer.panel import Adjusted, Matrix, Panel, panel

TO_UNIX_DAYS = 10957
"""From days since 2000-01-01 to days since 1970-01-01."""


class Bar(NamedTuple):
    """A row of stock_prices, without its asset."""

    date: dt.date
    open: float
    high: float
    low: float
    close: float
    adj_close: float
    volume: int


@dataclass(frozen=True, eq=False)
class Asset:
    """An asset's stored bars and what goes with them."""

    bars: Matrix
    """(bars, open high low close adj_close volume), as the vendor gives them."""
    splits: np.ndarray
    """What adjusts each for the splits since."""
    dates: np.ndarray
    """Days since 2000-01-01."""
    benchmark: np.ndarray
    """Its close of each bar's day; NaN where it has none."""
    minor_units: float = 100.0

    def __len__(self) -> int:
        return len(self.bars)

    def first(self, bars: int) -> "Asset":
        """As it was stored when it had so many bars, but for what was paid and split since."""
        return self.part(slice(0, bars))

    def last(self, bars: int) -> "Asset":
        """Its last bars."""
        return self.part(slice(max(0, len(self) - bars), None))

    def part(self, rows: slice) -> "Asset":
        return replace(
            self,
            bars=self.bars[rows],
            splits=self.splits[rows],
            dates=self.dates[rows],
            benchmark=self.benchmark[rows],
        )

    def changed(self, rows: slice, values: object, fields: slice = slice(0, 6)) -> "Asset":
        """With these values in these bars."""
        bars = self.bars.copy()
        bars[rows, fields] = values
        return replace(self, bars=bars)

    def panel(self, *, whole: bool = True, adjusted: Adjusted = "all") -> Panel:
        """Alone; `whole`: its first bar is the first stored one."""
        return panel(
            self.bars,
            [len(self)],
            dates=self.dates + np.int32(TO_UNIX_DAYS),
            split_factors=self.splits,
            benchmark=self.benchmark,
            minor_units=np.array([self.minor_units]),
            whole=np.array([whole]),
            adjusted=adjusted,
        )

    def history(self, adjusted: Adjusted = "all") -> judge.History:
        """As the judge sees it."""
        return judge.History.of(
            self.bars,
            self.splits,
            self.dates,
            adjusted=adjusted,
            benchmark=judge.Benchmark(self.dates, self.benchmark),
            minor_units=self.minor_units,
        )


def random_asset(seed: int, length: int, digits: int = 2) -> Asset:
    """A random walk with prices rounded to `digits`, a dividend after a third, a split of 4:1 after
    a half, a holiday here and there, and now and then no bar of the benchmark."""
    random = np.random.default_rng(seed)

    def walk() -> np.ndarray:
        return 80 * np.exp(np.cumsum(random.normal(0.0003, 0.02, length)))

    close = walk()
    open_ = close * np.exp(random.normal(0, 0.01, length))
    high = np.maximum(open_, close) * np.exp(np.abs(random.normal(0, 0.01, length)))
    low = np.minimum(open_, close) * np.exp(-np.abs(random.normal(0, 0.01, length)))
    prices = np.maximum(np.round(np.stack([open_, high, low, close]), digits), 10.0**-digits)
    splits = np.where(np.arange(length) < length // 2, 0.25, 1.0)
    prices /= splits
    factor = splits * np.where(np.arange(length) < length // 3, 0.985, 1.0)
    volume = random.integers(1_000, 2_000_000, length).astype(float)
    benchmark = walk()
    if seed % 2:
        benchmark[random.random(length) < 0.03] = np.nan
    days = np.cumsum(random.choice([1, 1, 1, 2, 3], length)).astype(np.int32)
    bars = np.stack([*prices, prices[3] * factor, volume], axis=1)
    return Asset(bars, splits, days + np.int32(9_000 - days[-1]), benchmark)


def real_assets() -> dict[str, Asset]:
    """Those with known faults, by file, that have more than a year of bars; none where the data is
    absent."""
    found = {}
    for seed, name in enumerate(fault_series.names()):
        bars = fault_series.document(name, "X")["bars"]
        if len(bars) > 252 and not name.endswith("-fixed"):
            values = np.array([[bar[field] for field in list(bar)[1:]] for bar in bars])
            days = np.array([bar["date"] for bar in bars], dtype="datetime64[D]")
            since = (days - np.datetime64("2000-01-01")).astype(np.int32)
            theirs = random_asset(seed, len(bars)).benchmark
            found[name] = Asset(values, np.ones(len(bars)), since, theirs)
    return found
