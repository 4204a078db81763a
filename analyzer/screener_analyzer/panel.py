"""Core: the bars of many assets side by side: one matrix a field, time along the rows.

Every asset's last bar is in the last row, so the rows before its first bar are padding. Never reads
or repairs: what is not finite stays so, and the indicators that reach it become NULL.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from screener_analyzer import aligned

Matrix = NDArray[np.float64]
"""(bars, assets), C-contiguous: a row is one bar of every asset."""
Outputs = tuple[Matrix, ...]
"""One matrix (rows, assets) an output."""
Adjusted = Literal["all", "splits", "none"]
"""What prices are adjusted for: splits and dividends, splits only, nothing."""

_TRANSPOSED = 64
"""How many lines are transposed at once."""
FIELDS = ("open", "high", "low", "close", "adjusted_close", "volume")
"""Of a stored bar, in the order of its columns in `stock_prices`."""


@dataclass(frozen=True, eq=False)
class Bases:
    """What prices of a row must be divided by to be as they were quoted on that row's day."""

    prices: Matrix
    """Of open to close."""
    splits: Matrix
    """Of split_high to split_close; volumes are multiplied by it."""


STATE = ("obv", "adi", "vpt", "nvi", "first_close")
"""What is carried of the indicators that begin at an asset's first stored bar."""


@dataclass(frozen=True, eq=False)
class State:
    """What the indicators that begin at the first stored bar were at an earlier bar.

    It holds while the bars up to that one are what they were, and so are their factors, but for
    one that all of them share.
    """

    values: Matrix
    """(STATE, assets): first_close in prices of the earlier bar's day, the others in the shares of
    the panel."""
    new_bars: NDArray[np.intp]
    """(assets,): how many of the panel's last bars are newer; the one before them must be in the
    panel. -1: there is no state, the panel holds the asset's first stored bar."""

    @classmethod
    def none(cls, assets: int) -> "State":
        """No asset has one."""
        return cls(np.full((len(STATE), assets), np.nan), np.full(assets, -1, dtype=np.intp))

    def of(self, assets: NDArray[np.bool_] | slice) -> "State":
        """That of some of the assets."""
        return State(self.values[:, assets], self.new_bars[assets])


@dataclass(frozen=True, eq=False)
class Resumed:
    """What walks (`carry`) had come to at earlier bars of each asset, to go on from there."""

    carried: Mapping[Hashable, Matrix]
    """By the name of what is carried: (what its walk `carries`, assets)."""
    back: Mapping[Hashable, int]
    """By the same name, how many bars before that of `rows` it was at."""
    rows: NDArray[np.intp]
    """(assets,): a row of the panel."""

    @cached_property
    def by_row(self) -> dict[int, NDArray[np.intp]]:
        """By each of the `rows`, its assets."""
        return by_row(self.rows)

    @property
    def first(self) -> int:
        """The first of the rows."""
        return min(self.by_row)

    @property
    def last(self) -> int:
        """The last of the rows."""
        return max(self.by_row)


@dataclass(frozen=True, eq=False)
class Panel:
    """Adjusted bars of many assets.

    Padding of prices holds the asset's first bar, padding of volume 0: an average that begins at
    the padding is then where one that begins at the first bar is.
    """

    open: Matrix
    high: Matrix
    low: Matrix
    close: Matrix
    volume: Matrix
    raw_close: Matrix
    split_high: Matrix
    """Adjusted for splits, not for dividends; so are the next two."""
    split_low: Matrix
    split_close: Matrix
    starts: NDArray[np.intp]
    """(assets,): the row of each asset's first bar; the number of rows for one without bars."""
    dates: NDArray[np.int32] | None = None
    """(bars, assets): days since 1970-01-01; in padding the first bar's. None: not known."""
    benchmark: Matrix | None = None
    """(bars, assets): the benchmark's close of the bar's day; NaN where it has none."""
    bases: Bases | None = None
    """None: no row is brought to its own day's quotation."""
    state: State | None = None
    """None: what adds up begins in the panel."""
    whole: NDArray[np.bool_] | None = None
    """(assets,): whether the first bar is the asset's first stored one; None: it is, where there
    are fewer bars than runs read (`registry.LONGEST_HISTORY`)."""
    minor_units: NDArray[np.float64] | None = None
    """(assets,): how many of the unit of the price make one of its currency (100 for pence); None:
    one."""
    resumed: Resumed | None = None
    """None: what is carried from bar to bar begins in the panel."""
    marks: Mapping[Hashable, int] = field(default_factory=dict)
    """By the name of what is carried, a row of which what its walk carries is to be in `marked`."""
    within: "tuple[Panel, slice] | None" = None
    """A panel of more assets, up to the same last bars, and which of them are these: what is
    carried is computed there. None: there is none."""
    kept: dict[Hashable, Outputs] = field(default_factory=dict, repr=False)
    """What was computed from it once already, by its name: see `carry`."""
    marked: dict[Hashable, Matrix] = field(default_factory=dict, repr=False)
    """As `Resumed.carried`, of all assets at the row of their `marks`."""
    looked_at: dict[Hashable, int] = field(default_factory=dict, repr=False)
    """By the name of what is carried, how many of its last rows were asked for."""
    walks: dict[Hashable, tuple[int, tuple[Hashable, ...]]] = field(
        default_factory=dict, repr=False
    )
    """By the name that a walk was made for, how many numbers of an asset it `carries`, and the
    names of its parts."""

    @property
    def rows(self) -> int:
        """Bars of the longest asset."""
        return len(self.close)

    @property
    def assets(self) -> int:
        """How many assets there are."""
        return int(self.close.shape[1])

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """(assets,): how many bars each has."""
        return self.rows - self.starts

    def since_start(self, bars: int) -> dict[int, NDArray[np.intp]]:
        """By row, the assets for which it is the bar number `bars` after their first."""
        return {
            row + bars: assets for row, assets in self._by_start.items() if row + bars < self.rows
        }

    @cached_property
    def _by_start(self) -> dict[int, NDArray[np.intp]]:
        return by_row(self.starts)


def by_row(rows: NDArray[np.intp]) -> dict[int, NDArray[np.intp]]:
    """From each asset's row to each row's assets."""
    order = np.argsort(rows, kind="stable")
    values, begins = np.unique(rows[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, begins[1:]), strict=True))


def chunks(assets: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` assets that together are all of them."""
    for begin in range(0, assets, size):
        yield slice(begin, min(begin + size, assets))


def right_aligned(
    values: NDArray[Any], lengths: Sequence[int], *, pad_with_first: bool
) -> NDArray[Any]:
    """Bars one asset after another (`values`, oldest first) as one column an asset, ends in line.

    Above an asset's first bar stands that bar (`pad_with_first`) or 0.
    """
    counts = np.asarray(lengths, dtype=np.intp)
    rows = int(counts.max(initial=0))
    if (counts == rows).all():
        return transposed(values.reshape(len(counts), rows))
    starts = rows - counts
    filled = np.arange(rows) >= starts[:, np.newaxis]
    lines = np.zeros((len(counts), rows), dtype=values.dtype)
    lines[filled] = values
    if pad_with_first:
        firsts = lines[np.arange(len(counts)), np.minimum(starts, rows - 1)]
        lines = np.where(filled, lines, firsts[:, np.newaxis])
    return transposed(lines)


def transposed(lines: NDArray[Any]) -> NDArray[Any]:
    """C-contiguous; of few lines at once, which stay in the processor's cache."""
    out = aligned.empty(lines.shape[::-1], lines.dtype)
    for part in chunks(len(lines), _TRANSPOSED):
        out[:, part] = lines[part].T
    return out


def panel(
    bars: Matrix,
    lengths: Sequence[int],
    *,
    dates: NDArray[np.int32] | None = None,
    split_factors: NDArray[np.float64] | None = None,
    benchmark: NDArray[np.float64] | None = None,
    minor_units: NDArray[np.float64] | None = None,
    state: State | None = None,
    whole: NDArray[np.bool_] | None = None,
    resumed: Resumed | None = None,
    marks: Mapping[Hashable, int] | None = None,
    adjusted: Adjusted = "all",
    rebased: bool = True,
) -> Panel:
    """From stored bars: (bars of all assets one asset after another, FIELDS), bars of each.

    The others are one entry a bar: `dates` days since 1970-01-01; `split_factors` what the raw
    price is multiplied by to be adjusted for the splits that the stored volume is adjusted for (1/4
    before one of 4:1; None: there were none); `benchmark` see `benchmark_closes`. `minor_units`,
    `state`, `whole`, `resumed` and `marks` are those of `Panel`.

    open to close become the raw ones times adjusted_close / close of their day (`all`). All four
    are multiplied, so that a bar without range has none afterwards, which it would not keep if
    adjusted_close itself stood beside a product. `rebased`: an asset's factors are divided by its
    last bar's, so that bars up to a day give what they gave on that day, whatever was paid or split
    since; its volume is divided by the later splits. Raises ValueError for another `adjusted`.
    """
    if adjusted not in get_args(Adjusted):
        raise ValueError(f"adjusted: {adjusted!r}; one of {', '.join(get_args(Adjusted))}")
    counts = np.asarray(lengths, dtype=np.intp)

    def side_by_side(values: NDArray[Any], *, pad_with_first: bool = True) -> NDArray[Any]:
        return right_aligned(values, lengths, pad_with_first=pad_with_first)

    raw = [side_by_side(bars[:, n]) for n in range(4)]
    volume = side_by_side(bars[:, 5], pad_with_first=False)
    by_splits = None if split_factors is None else side_by_side(split_factors)
    with np.errstate(all="ignore"):
        factors = by_splits if adjusted == "splits" else None
        if adjusted == "all":
            factors = side_by_side(bars[:, 4]) / raw[3]
        if by_splits is not None:
            # Stored volume is as if all splits had been; each day's own is without the later ones.
            if adjusted == "none":
                volume = _product(volume, by_splits)
                by_splits = None
            elif rebased:
                volume = _product(volume, _last(by_splits))
        if rebased:
            factors, by_splits = _rebased(factors), _rebased(by_splits)
        prices = raw if factors is None else [_product(matrix, factors) for matrix in raw]
        ranges = raw if by_splits is None else [_product(matrix, by_splits) for matrix in raw]
    bases = None
    if rebased:
        ones = np.broadcast_to(1.0, raw[3].shape)
        bases = Bases(
            ones if factors is None else factors, ones if by_splits is None else by_splits
        )
    return Panel(
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=volume,
        raw_close=raw[3],
        split_high=ranges[1],
        split_low=ranges[2],
        split_close=ranges[3],
        starts=len(raw[3]) - counts,
        dates=None if dates is None else side_by_side(dates),
        benchmark=None if benchmark is None else side_by_side(benchmark),
        bases=bases,
        state=state,
        whole=whole,
        minor_units=minor_units,
        resumed=resumed,
        marks=marks or {},
    )


def benchmark_closes(
    dates: NDArray[np.int32], sessions: NDArray[np.int32], closes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The benchmark's adjusted close (of its ascending `sessions`) on each of `dates`; NaN where it
    has none."""
    if not len(sessions):
        return np.full(len(dates), np.nan)
    at = np.minimum(np.searchsorted(sessions, dates), len(sessions) - 1)
    return np.where(sessions[at] == dates, closes[at], np.nan)


def _product(matrix: Matrix, factors: Matrix) -> Matrix:
    out: Matrix = aligned.empty(matrix.shape)
    return np.multiply(matrix, factors, out=out)


def _last(factors: Matrix) -> Matrix:
    """(1, assets): each asset's last factor; 1 where it is none."""
    last = factors[-1:]
    return np.where(np.isfinite(last) & (last > 0), last, 1.0)


def _rebased(factors: Matrix | None) -> Matrix | None:
    return None if factors is None or not len(factors) else factors / _last(factors)
