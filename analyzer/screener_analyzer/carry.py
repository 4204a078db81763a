"""Core: averages in which every bar builds on the one before, for all assets of a panel at once.

A loop over the bars, each step a few operations on rows that stay in the processor's cache. Every
asset begins at its own first bar, as if it were alone. What is carried is named by a frozen value
(`Ema(12)`), so that indicators that need the same share it.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screener_analyzer import aligned
from screener_analyzer.panel import Matrix, Outputs, Panel, by_row

Row = NDArray[np.float64]
"""(assets,): one bar of every asset."""

_TINY = np.finfo(np.float64).tiny
"""Divides 0 to 0."""
_HUGE = 1e300
"""Makes any difference of prices more than what it is held to be at most."""


class Walk(ABC):
    """What is carried from bar to bar, on its way through a panel."""

    first = 0
    """The row that it begins at: before that it has nothing to take in."""
    warm = 0
    """How many rows up to where it resumes it must have stepped through all the same, for what it
    gathers of the last bars and does not carry."""

    @abstractmethod
    def step(self, number: int) -> None:
        """Takes in row `number` of the panel; called for every row in order."""

    @abstractmethod
    def values(self) -> tuple[Row, ...]:
        """What it is now, one row an output; the caller copies it."""

    def parts(self) -> Mapping["Carried", "Walk"]:
        """What it carries besides under names of their own."""
        return {}

    def carries(self) -> tuple[Row, ...]:
        """All that later rows build on, in place; none where it can not be resumed."""
        return ()

    def resume(self, assets: NDArray[np.intp], carried: Matrix) -> None:
        """Of these assets it goes on from what another walk's `carries` were at this row."""
        for now, given in zip(self.carries(), carried, strict=True):
            now[assets] = given[assets]


class Carried(ABC):
    """The name of something carried; subclasses are frozen dataclasses: they compare by value."""

    @abstractmethod
    def walk(self, panel: Panel) -> Walk:
        """Its walk through a panel, before the first row."""


_MORE = 24
"""Rows that are kept beyond those asked for, as another indicator may want them."""


def carried(panel: Panel, name: Carried, rows: int) -> Outputs:
    """The last `rows` rows (all of a shorter panel) of what is carried under this name; the panel
    keeps them."""
    if panel.within is not None:
        whole, part = panel.within
        last = min(rows, panel.rows)
        return tuple(
            np.ascontiguousarray(matrix[-last:, part]) for matrix in carried(whole, name, last)
        )
    panel.looked_at[name] = max(rows, panel.looked_at.get(name, 0))
    kept = panel.kept.get(name)
    if kept is None or len(kept[0]) < min(rows, panel.rows):
        panel.kept.update(_carry(panel, name, min(rows, panel.rows)))
    return tuple(matrix[-rows:] for matrix in panel.kept[name])


def _carry(panel: Panel, name: Carried, wanted: int) -> dict[Hashable, Outputs]:
    walk = name.walk(panel)
    begin = max(0, panel.rows - wanted - _MORE)
    first = min(walk.first, begin)
    resumed, back = panel.resumed, 0
    if resumed is not None and name in resumed.carried:
        back = resumed.back[name]
    if resumed is not None and back and resumed.last - back <= panel.rows - wanted:
        begin = max(begin, resumed.last - back)
        first = max(0, resumed.first - back - walk.warm)
    else:
        resumed = None
    mark = panel.marks.get(name)
    walks = {name: walk, **walk.parts()}
    panel.walks[name] = len(walk.carries()), tuple(walk.parts())
    kept: dict[Hashable, Outputs] = {}
    with np.errstate(all="ignore"):
        for number in range(first, panel.rows):
            walk.step(number)
            if resumed is not None and number + back in resumed.by_row:
                walk.resume(resumed.by_row[number + back], resumed.carried[name])
            if number == mark:
                panel.marked[name] = np.array(walk.carries())
            if number < begin:
                continue
            for each, its in walks.items():
                now = its.values()
                if number == begin:
                    kept[each] = tuple(
                        aligned.empty((panel.rows - begin, panel.assets)) for _ in now
                    )
                for matrix, row in zip(kept[each], now, strict=True):
                    matrix[number - begin] = row
    return kept


# Building blocks


def span(window: int) -> float:
    """The alpha of an exponential mean of `window` bars, rounded as pandas rounds it."""
    return 1.0 / (1.0 + (window - 1) / 2.0)


def through_com(alpha: float) -> float:
    """An alpha after pandas' way through its centre of mass, which rounds it."""
    return 1.0 / (1.0 + (1.0 - alpha) / alpha)


class Exponential:
    """y = y before + alpha (x - y before): an average that equals the next value stays what it is,
    bit for bit, as pandas' `ewm(adjust=False)` has it."""

    def __init__(self, assets: int | tuple[int, int], alpha: float) -> None:
        self.now = aligned.zeros(assets)
        self._part = aligned.empty(assets)
        self._alpha = alpha

    def begin(self, values: Row) -> None:
        """All assets begin with `values`."""
        np.copyto(self.now, values)

    def begin_some(self, assets: NDArray[np.intp], values: Row) -> None:
        """These assets begin with their `values`."""
        self.now[..., assets] = values[..., assets]

    def step(self, values: Row) -> Row:
        """The averages after `values`."""
        part = np.subtract(values, self.now, out=self._part)
        part *= self._alpha
        self.now += part
        return self.now


class Fading:
    """s = (1 - alpha) s before + x: an exponential mean but for the factor alpha, in two passes."""

    def __init__(self, assets: int | tuple[int, int], alpha: float, begin: float = 0.0) -> None:
        self.now = aligned.full(assets, begin)
        self._fades = 1.0 - alpha

    def step(self, values: Row) -> Row:
        """The sums after `values`."""
        self.now *= self._fades
        self.now += values
        return self.now


class Gappy:
    """The same where values may be missing (not a number): it begins with the first one, a missing
    one leaves it as it is and makes it weigh less, as in pandas."""

    def __init__(self, assets: int, alpha: float) -> None:
        self.now = aligned.full(assets, np.nan)
        self.seen = aligned.zeros(assets)
        """How many values there were."""
        self._weight = aligned.full(assets, 1.0)
        self._next: Row = aligned.empty(assets)
        self._there, self._begun = (np.empty(assets, dtype=np.bool_) for _ in range(2))
        self._alpha, self._before = alpha, 1.0 - alpha
        self._share = alpha / (self._before + alpha)
        """What a value weighs where none was missing lately."""
        self._plain = False
        """Whether the weights are all 1, as no value was missing lately."""

    def carries(self) -> tuple[Row, ...]:
        """As that of `Walk`; whoever writes there says so by `resumed`."""
        return self.now, self.seen, self._weight

    def resumed(self) -> None:
        """What it `carries` was written to."""
        self._plain = False

    def step(self, values: Row) -> Row:
        """The averages after `values`."""
        there = np.equal(values, values, out=self._there)
        begun = np.equal(self.now, self.now, out=self._begun)
        self.seen += there
        following = np.subtract(values, self.now, out=self._next)
        if there.all() and begun.all() and self._plain:
            following *= self._share
            following += self.now
        else:
            np.multiply(self._weight, self._before, out=self._weight, where=begun)
            following *= self._alpha / (self._weight + self._alpha)
            following += self.now
            np.copyto(following, values, where=~begun)
            np.copyto(following, self.now, where=~there)
            np.copyto(self._weight, 1.0, where=there)
            self._plain = bool(there.all())
        self.now, self._next = following, self.now
        return following


class WindowSum:
    """The sum of the last `rows` values, from sums of blocks of a power of two, each of two of half
    its size: no residue of what has left it. Before the first row all were 0."""

    def __init__(self, assets: int, rows: int) -> None:
        sizes = [1 << bit for bit in reversed(range(rows.bit_length())) if rows >> bit & 1]
        reaches = [sum(sizes[:number]) for number in range(len(sizes))]
        self._blocks = [
            (size.bit_length() - 1, ago) for size, ago in zip(sizes, reaches, strict=True)
        ]
        """(which ring, how many rows before) of those that make up the window."""
        self._rings = [
            [aligned.zeros(assets) for _ in range(rows + 1)] for _ in range(rows.bit_length())
        ]
        """By block size, the sums of blocks that ended at the last rows, the newest first."""
        self._out = aligned.empty(assets)

    def step(self, values: Row) -> Row:
        """With `values` the newest; valid until the next call."""
        for ring in self._rings:
            ring.insert(0, ring.pop())
        np.copyto(self._rings[0][0], values)
        for number, (below, ring) in enumerate(itertools.pairwise(self._rings)):
            np.add(below[0], below[1 << number], out=ring[0])
        np.copyto(self._out, 0.0)
        for ring_number, ago in self._blocks:
            self._out += self._rings[ring_number][ago]
        return self._out


# What is carried


@dataclass(frozen=True, slots=True)
class Ema(Carried):
    """Exponential mean of the closes, beginning at the first one."""

    window: int

    def walk(self, panel: Panel) -> Walk:
        return _EmaWalk(panel, self.window)


class _EmaWalk(Walk):
    def __init__(self, panel: Panel, window: int) -> None:
        self._close = panel.close
        self._mean = Exponential(panel.assets, span(window))

    def step(self, number: int) -> None:
        # Padding holds an asset's first close, and an average that equals it stays there.
        if number:
            self._mean.step(self._close[number])
        else:
            self._mean.begin(self._close[0])

    def carries(self) -> tuple[Row, ...]:
        return (self._mean.now,)

    def values(self) -> tuple[Row, ...]:
        return (self._mean.now,)


@dataclass(frozen=True, slots=True)
class Macd(Carried):
    """Fast less slow exponential mean of the closes; that line's exponential mean of `signal` bars,
    which begins once the slow one has `slow` bars."""

    fast: int
    slow: int
    signal: int

    def walk(self, panel: Panel) -> Walk:
        return _MacdWalk(panel, self)


class _MacdWalk(Walk):
    def __init__(self, panel: Panel, name: "Macd | PriceOscillator") -> None:
        self._fast, self._slow = _EmaWalk(panel, name.fast), _EmaWalk(panel, name.slow)
        self._parts: dict[Carried, Walk] = {Ema(name.fast): self._fast, Ema(name.slow): self._slow}
        self._signal = Exponential(panel.assets, span(name.signal))
        self._begin = panel.since_start(name.slow - 1)
        self._line = aligned.zeros(panel.assets)

    def step(self, number: int) -> None:
        self._fast.step(number)
        self._slow.step(number)
        line = self._between(*self._fast.values(), *self._slow.values())
        self._signal.step(line)
        if number in self._begin:
            self._signal.begin_some(self._begin[number], line)

    def _between(self, fast: Row, slow: Row) -> Row:
        return np.subtract(fast, slow, out=self._line)

    def parts(self) -> Mapping[Carried, Walk]:
        return self._parts

    def carries(self) -> tuple[Row, ...]:
        return *self._fast.carries(), *self._slow.carries(), self._signal.now

    def values(self) -> tuple[Row, ...]:
        return self._line, self._signal.now


@dataclass(frozen=True, slots=True)
class Rsi(Carried):
    """Wilder's relative strength, 0 to 100; NaN where no close has changed so far."""

    window: int

    def walk(self, panel: Panel) -> Walk:
        return _RsiWalk(panel, self.window)


class _RsiWalk(Walk):
    def __init__(self, panel: Panel, window: int) -> None:
        self._close = panel.close
        shape = (2, panel.assets)
        self._sums = Fading(shape, through_com(1 / window))
        """Of gains, of losses."""
        self._moves, self._zeros = aligned.empty(shape), aligned.zeros(panel.assets)

    def step(self, number: int) -> None:
        if not number:
            return
        gains, losses = self._moves
        moves = np.subtract(self._close[number], self._close[number - 1], out=losses)
        # Maxima keep what is not a number; with a number in place of zeros they take twice as long.
        np.maximum(moves, self._zeros, out=gains)
        np.subtract(gains, moves, out=losses)
        self._sums.step(self._moves)

    def carries(self) -> tuple[Row, ...]:
        return tuple(self._sums.now)

    def values(self) -> tuple[Row, ...]:
        gains, losses = self._sums.now
        out: Row = 100 - (100 / (1 + gains / losses))
        out[losses == 0] = 100.0
        out[(losses == 0) & (gains == 0)] = np.nan
        return (out,)


class _TrueRange:
    """From the low or the close before to the high or the close before; of an asset's first bar
    high - low."""

    def __init__(self, panel: Panel, out: Row | None = None) -> None:
        """`out`: where each step puts the ranges."""
        self._panel = panel
        self._begin = panel.since_start(0)
        self._range = aligned.empty(panel.assets) if out is None else out
        self._part = aligned.empty(panel.assets)

    def step(self, number: int) -> Row:
        high, low, out = self._panel.high[number], self._panel.low[number], self._range
        if number:
            close = self._panel.close[number - 1]
            np.maximum(high, close, out=out)
            out -= np.minimum(low, close, out=self._part)
        if number in self._begin:
            new = self._begin[number]
            out[new] = high[new] - low[new]
        return out


@dataclass(frozen=True, slots=True)
class AverageTrueRange(Carried):
    """Mean of an asset's first `window` true ranges, then Wilder's: before + (range - before) /
    window."""

    window: int

    def walk(self, panel: Panel) -> Walk:
        return _AverageTrueRangeWalk(panel, self.window)


class _AverageTrueRangeWalk(Walk):
    def __init__(self, panel: Panel, window: int, ranges: Row | None = None) -> None:
        """`ranges`: where each step puts the true ranges."""
        self._ranges = _TrueRange(panel, ranges)
        self._window = window
        self._first = _First(panel, 0, window)
        self._sum = Fading(panel.assets, 1 / window, np.nan)

    def step(self, number: int) -> None:
        ranges = self._ranges.step(number)
        self._sum.step(ranges)
        self._first.step(number, ((self._sum.now, ranges),))

    def carries(self) -> tuple[Row, ...]:
        return (self._sum.now,)

    def values(self) -> tuple[Row, ...]:
        return (self._sum.now / self._window,)


class _First:
    """Begins sums with that of an asset's first `window` values, from its bar number `first` on (0:
    its first)."""

    def __init__(self, panel: Panel, first: int, window: int) -> None:
        self._begin = panel.since_start(first)
        self._end = panel.since_start(first + window - 1)
        self._last = max(self._end, default=-1)
        self._sums: list[Row] = []
        self._assets = panel.assets

    def step(self, number: int, sums: Iterable[tuple[Row, Row]]) -> None:
        """`sums`: the present ones, which are overwritten where one begins, and the values."""
        if number > self._last:
            return
        pairs = list(sums)
        if not self._sums:
            self._sums = [aligned.zeros(self._assets) for _ in pairs]
        for total, (now, values) in zip(self._sums, pairs, strict=True):
            if number in self._begin:
                total[self._begin[number]] = 0.0
            total += values
            if number in self._end:
                assets = self._end[number]
                now[assets] = total[assets]


@dataclass(frozen=True, slots=True)
class DirectionalMovement(Carried):
    """Wilder's +DI, -DI and ADX, 0 to 100; NaN where no bar had a range.

    The sums begin at an asset's second bar, as of the first nothing is known to have moved; the ADX
    with the mean of the first `window` indexes.
    """

    window: int

    def walk(self, panel: Panel) -> Walk:
        return _DirectionalWalk(panel, self.window)


class _DirectionalWalk(Walk):
    """Of the rises and the falls it carries the sum and the difference: of each bar one of the two
    is 0, so these are the greater move and the same with a sign, and the index is their ratio."""

    def __init__(self, panel: Panel, window: int) -> None:
        assets = panel.assets
        self._panel = panel
        self._share = 100.0 / window
        self._sums = Fading((3, assets), 1 / window, np.nan)
        """Ranges, moves, moves with a sign: those of falls are negative."""
        self._moves = aligned.zeros((3, assets))
        """The same of a bar."""
        self._average = _AverageTrueRangeWalk(panel, window, self._moves[0])
        self._parts: dict[Carried, Walk] = {AverageTrueRange(window): self._average}
        self._rises, self._falls = aligned.empty(assets), aligned.empty(assets)
        self._index = aligned.empty(assets)
        self._zeros, self._tiny = aligned.zeros(assets), aligned.full(assets, _TINY)
        self._first = _First(panel, 1, window)
        self._adx = Fading(assets, 1 / window, np.nan)
        self._first_adx = _First(panel, window, window)

    def step(self, number: int) -> None:
        self._average.step(number)
        if not number:
            return
        high, low = self._panel.high, self._panel.low
        _, moves, signed = self._moves
        rises = np.subtract(high[number], high[number - 1], out=self._rises)
        falls = np.subtract(low[number - 1], low[number], out=self._falls)
        # Only the greater of the two moves counts; neither where they are equal.
        np.maximum(np.maximum(rises, falls, out=moves), self._zeros, out=moves)
        # Else it has the sign of their difference.
        rises -= falls
        rises *= _HUGE
        np.maximum(rises, np.negative(moves, out=signed), out=signed)
        np.abs(np.minimum(signed, moves, out=signed), out=moves)
        sums = self._sums.step(self._moves)
        self._first.step(number, zip(sums, self._moves, strict=True))
        # The ranges that both are divided by cancel out.
        index = np.abs(sums[2], out=self._index)
        index /= np.maximum(sums[1], self._tiny, out=rises)
        self._adx.step(index)
        self._first_adx.step(number, ((self._adx.now, index),))

    def parts(self) -> Mapping[Carried, Walk]:
        return self._parts

    def carries(self) -> tuple[Row, ...]:
        return *self._average.carries(), *self._sums.now, self._adx.now

    def values(self) -> tuple[Row, ...]:
        ranges, moves, signed = self._sums.now
        # Neither 0 nor not a number, which only the ranges carry for all three.
        moved = ranges > 0
        both = 2 * ranges
        rows = 100 * ((moves + signed) / both), 100 * ((moves - signed) / both)
        plus, minus, adx = (
            np.where(moved, row, np.nan) for row in (*rows, self._share * self._adx.now)
        )
        return plus, minus, adx


@dataclass(frozen=True, slots=True)
class ParabolicSar(Carried):
    """Wilder's stop-and-reverse price.

    Computed in coordinates in which every trend goes up: prices of a falling one are negated, so
    one formula serves both. `near` is the side that the stop lies on, `far` the other.
    """

    pace: float
    most: float

    def walk(self, panel: Panel) -> Walk:
        return _SarWalk(panel, self)


class _SarWalk(Walk):
    def __init__(self, panel: Panel, sar: ParabolicSar) -> None:
        assets = panel.assets
        self._panel = panel
        self._sar = sar
        self._begin = panel.since_start(2)
        self._began = min(self._begin, default=panel.rows)
        self._sign = aligned.full(assets, 1.0)
        """1 in a rising trend, -1 in a falling one."""
        self._stop = aligned.full(assets, np.nan)
        self._extreme, self._pace = aligned.zeros(assets), aligned.full(assets, sar.pace)
        self._near = [aligned.zeros(assets) for _ in range(3)]
        """Of this bar, the one before, and the one before that."""
        self._far = [aligned.zeros(assets) for _ in range(2)]
        self._part = aligned.empty(assets)
        self._step, self._most = aligned.full(assets, sar.pace), aligned.full(assets, sar.most)
        self._below = np.empty(assets, dtype=np.bool_)

    def step(self, number: int) -> None:
        if number < self._began:
            return
        high, low = self._panel.high, self._panel.low
        stop, extreme, pace = self._stop, self._extreme, self._pace
        part = self._part
        near, near_1, near_2 = self._near = [self._near[2], *self._near[:2]]
        far, far_1 = self._far = self._far[::-1]
        if number in self._begin:
            new = self._begin[number]
            self._sign[new], pace[new] = 1.0, self._sar.pace
            stop[new], extreme[new] = self._panel.close[number - 1, new], high[number - 2, new]
            near_2[new], near_1[new] = low[number - 2, new], low[number - 1, new]
            far_1[new] = high[number - 1, new]
        one = np.multiply(low[number], self._sign, out=near)
        other = np.multiply(high[number], self._sign, out=part)
        np.maximum(one, other, out=far)
        np.minimum(one, other, out=near)
        np.subtract(extreme, stop, out=part)
        part *= pace
        stop += part
        # Few bars are below the stop, now or two bars ago: they are looked for together.
        lowest = np.minimum(near, near_2, out=part)
        below = np.less(lowest, stop, out=self._below).nonzero()[0]
        stop_there, older = stop.take(below), near_2.take(below)
        turned = below.take(np.less(near.take(below), stop_there).nonzero()[0])
        turned_stop = extreme.take(turned)
        # The stop keeps off the two bars before; the older one counts first.
        np.minimum(stop, near_1, out=stop)
        kept_off = np.less(older, stop_there).nonzero()[0]
        stop[below.take(kept_off)] = older.take(kept_off)
        # One step faster where the extreme moves, however little.
        further = np.maximum(extreme, far, out=part)
        np.subtract(further, extreme, out=extreme)
        extreme *= _HUGE
        pace += np.minimum(extreme, self._step, out=extreme)
        np.minimum(pace, self._most, out=pace)
        self._extreme, self._part = extreme, part = further, extreme
        if len(turned):
            # All is in the other coordinates from here: what was far is near, and negated.
            turned_far = -near.take(turned)
            stop[turned] = -turned_stop
            extreme[turned] = turned_far
            pace[turned] = self._sar.pace
            self._sign[turned] = -self._sign.take(turned)
            near[turned] = -far.take(turned)
            near_1[turned] = -far_1.take(turned)
            far[turned] = turned_far

    def carries(self) -> tuple[Row, ...]:
        return (
            self._sign,
            self._stop,
            self._extreme,
            self._pace,
            *self._near[:2],
            self._far[0],
        )

    def values(self) -> tuple[Row, ...]:
        # Of a bar without prices it is not known whether the trend turned.
        return (self._stop * self._sign + 0.0 * self._near[0],)


@dataclass(frozen=True, slots=True)
class TrueStrength(Carried):
    """Changes of the close, and their sizes, averaged over `slow` and then `fast` bars."""

    slow: int
    fast: int

    def walk(self, panel: Panel) -> Walk:
        return _TrueStrengthWalk(panel, self)


class _TrueStrengthWalk(Walk):
    def __init__(self, panel: Panel, name: TrueStrength) -> None:
        shape = (2, panel.assets)
        self._close = panel.close
        self._first, self._second = (Exponential(shape, span(w)) for w in (name.slow, name.fast))
        self._begin, self._begin_second = panel.since_start(1), panel.since_start(name.slow)
        self._moves = aligned.zeros(shape)

    def step(self, number: int) -> None:
        if not number:
            return
        moves = self._moves
        np.subtract(self._close[number], self._close[number - 1], out=moves[0])
        np.abs(moves[0], out=moves[1])
        self._first.step(moves)
        if number in self._begin:
            self._first.begin_some(self._begin[number], moves)
        self._second.step(self._first.now)
        if number in self._begin_second:
            self._second.begin_some(self._begin_second[number], self._first.now)

    def carries(self) -> tuple[Row, ...]:
        return *self._first.now, *self._second.now

    def values(self) -> tuple[Row, ...]:
        return self._second.now[0], self._second.now[1]


@dataclass(frozen=True, slots=True)
class PriceOscillator(Carried):
    """Fast less slow exponential mean of the closes in % of the slow one; that line's exponential
    mean of `signal` bars, which begins once the slow one has `slow` bars."""

    fast: int
    slow: int
    signal: int

    def walk(self, panel: Panel) -> Walk:
        return _PriceOscillatorWalk(panel, self)


class _PriceOscillatorWalk(_MacdWalk):
    def _between(self, fast: Row, slow: Row) -> Row:
        line = super()._between(fast, slow)
        line /= slow
        line *= 100
        return line


@dataclass(frozen=True, slots=True)
class VolumeOscillator(Carried):
    """The same of the volume; NaN where there was none so far, and the signal until it has averaged
    `signal` values."""

    fast: int
    slow: int
    signal: int

    def walk(self, panel: Panel) -> Walk:
        return _VolumeOscillatorWalk(panel, self)


class _VolumeOscillatorWalk(Walk):
    def __init__(self, panel: Panel, name: VolumeOscillator) -> None:
        self._volume = panel.volume
        self._fast, self._slow = (
            Exponential(panel.assets, span(window)) for window in (name.fast, name.slow)
        )
        self._signal = Gappy(panel.assets, span(name.signal))
        self._least = name.signal
        self._begin = panel.since_start(0)
        self._before = _Before(panel, name.slow - 1)
        self._line = aligned.zeros(panel.assets)

    def step(self, number: int) -> None:
        volume = self._volume[number]
        for mean in (self._fast, self._slow):
            mean.step(volume)
            if number in self._begin:
                mean.begin_some(self._begin[number], volume)
        line = np.subtract(self._fast.now, self._slow.now, out=self._line)
        line /= self._slow.now
        line *= 100
        self._signal.step(self._before.blanked(number, line))

    def carries(self) -> tuple[Row, ...]:
        return self._fast.now, self._slow.now, *self._signal.carries()

    def resume(self, assets: NDArray[np.intp], carried: Matrix) -> None:
        super().resume(assets, carried)
        self._signal.resumed()

    def values(self) -> tuple[Row, ...]:
        known = (self._signal.seen >= self._least) & np.isfinite(self._line)
        return self._line, np.where(known, self._signal.now, np.nan)


class _Before:
    """Blanks what is before an asset's bar number `bars`."""

    def __init__(self, panel: Panel, bars: int) -> None:
        self._begin = panel.starts + bars
        self._last = int(self._begin.max(initial=0))

    def blanked(self, number: int, values: Row) -> Row:
        if number < self._last:
            values[self._begin > number] = np.nan
        return values


@dataclass(frozen=True, slots=True)
class AdaptiveMean(Carried):
    """Kaufman's mean: it follows the close the faster, the straighter the last `window` moves."""

    window: int
    fast: int
    slow: int

    def walk(self, panel: Panel) -> Walk:
        return _AdaptiveWalk(panel, self)


class _AdaptiveWalk(Walk):
    def __init__(self, panel: Panel, name: AdaptiveMean) -> None:
        assets = panel.assets
        self._close, self._window = panel.close, name.window
        self.warm = name.window
        self._slowest = 2.0 / (name.slow + 1.0)
        self._more = 2.0 / (name.fast + 1) - self._slowest
        # Padding holds an asset's first bar: before that nothing moves.
        self._path = WindowSum(assets, name.window)
        self._begin = panel.since_start(name.window - 1)
        self._now, self._tiny = aligned.zeros(assets), aligned.full(assets, _TINY)
        self._share, self._part = aligned.empty(assets), aligned.empty(assets)

    def step(self, number: int) -> None:
        close, share, part = self._close[number], self._share, self._part
        np.subtract(close, self._close[max(0, number - 1)], out=part)
        path = self._path.step(np.abs(part, out=part))
        np.subtract(close, self._close[max(0, number - self._window)], out=share)
        np.abs(share, out=share)
        # Of what did not move, 0.
        share /= np.maximum(path, self._tiny, out=part)
        share *= self._more
        share += self._slowest
        np.square(share, out=share)
        np.subtract(close, self._now, out=part)
        part *= share
        self._now += part
        if number in self._begin:
            new = self._begin[number]
            self._now[new] = close[new]

    def carries(self) -> tuple[Row, ...]:
        return (self._now,)

    def values(self) -> tuple[Row, ...]:
        return (self._now,)


@dataclass(frozen=True, slots=True)
class Force(Carried):
    """Exponential mean of the change of the close times the volume."""

    window: int

    def walk(self, panel: Panel) -> Walk:
        return _ForceWalk(panel, self.window)


class _ForceWalk(Walk):
    def __init__(self, panel: Panel, window: int) -> None:
        self._close, self._volume = panel.close, panel.volume
        self._mean = Exponential(panel.assets, span(window))
        self._begin = panel.since_start(1)
        self._part = aligned.empty(panel.assets)

    def step(self, number: int) -> None:
        if not number:
            return
        part = np.subtract(self._close[number], self._close[number - 1], out=self._part)
        part *= self._volume[number]
        self._mean.step(part)
        if number in self._begin:
            self._mean.begin_some(self._begin[number], part)

    def carries(self) -> tuple[Row, ...]:
        return (self._mean.now,)

    def values(self) -> tuple[Row, ...]:
        return (self._mean.now,)


@dataclass(frozen=True, slots=True)
class TripleEma(Carried):
    """Exponential mean of that of that of the closes; each begins once the one below is full."""

    window: int

    def walk(self, panel: Panel) -> Walk:
        return _TripleWalk(panel, self.window)


class _TripleWalk(Walk):
    def __init__(self, panel: Panel, window: int) -> None:
        self._first = _EmaWalk(panel, window)
        self._others = [
            (Exponential(panel.assets, span(window)), panel.since_start(n * (window - 1)))
            for n in (1, 2)
        ]

    def step(self, number: int) -> None:
        self._first.step(number)
        below = self._first.values()[0]
        for mean, begin in self._others:
            mean.step(below)
            if number in begin:
                mean.begin_some(begin[number], below)
            below = mean.now

    def carries(self) -> tuple[Row, ...]:
        return *self._first.carries(), *(mean.now for mean, _ in self._others)

    def values(self) -> tuple[Row, ...]:
        return (self._others[-1][0].now,)


@dataclass(frozen=True, slots=True)
class RangeShare(Carried):
    """Exponential mean of the range over its own exponential mean."""

    window: int

    def walk(self, panel: Panel) -> Walk:
        return _RangeShareWalk(panel, self.window)


class _RangeShareWalk(Walk):
    def __init__(self, panel: Panel, window: int) -> None:
        self._high, self._low = panel.high, panel.low
        self._once, self._twice = (Exponential(panel.assets, span(window)) for _ in range(2))
        self._begin = panel.since_start(window - 1)

    def step(self, number: int) -> None:
        span_of_bar = self._high[number] - self._low[number]
        if number:
            self._once.step(span_of_bar)
        else:
            # Padding holds an asset's first bar, and an average that equals it stays there.
            self._once.begin(span_of_bar)
        self._twice.step(self._once.now)
        if number in self._begin:
            self._twice.begin_some(self._begin[number], self._once.now)

    def carries(self) -> tuple[Row, ...]:
        return self._once.now, self._twice.now

    def values(self) -> tuple[Row, ...]:
        return (self._once.now / self._twice.now,)


@dataclass(frozen=True, slots=True)
class Schaff(Carried):
    """Where MACD stands in its range of `cycle` bars, smoothed, and that once more; 0 to 100.

    Where a range is 0 its average stays what it was.
    """

    fast: int
    slow: int
    cycle: int
    smooth: int

    def walk(self, panel: Panel) -> Walk:
        return _SchaffWalk(panel, self)


class _SchaffWalk(Walk):
    def __init__(self, panel: Panel, name: Schaff) -> None:
        self._fast, self._slow = _EmaWalk(panel, name.fast), _EmaWalk(panel, name.slow)
        self._least = name.smooth
        first = name.slow - 1 + name.cycle - 1
        second = first + name.smooth - 1 + name.cycle - 1
        shape = (name.cycle, panel.assets)
        self._stages = [
            (
                aligned.full(shape, np.nan),
                _Before(panel, begin),
                Gappy(panel.assets, span(name.smooth)),
            )
            for begin in (first, second)
        ]
        self._line = aligned.zeros(panel.assets)
        self._number = 0

    def step(self, number: int) -> None:
        self._number = number
        self._fast.step(number)
        self._slow.step(number)
        values = np.subtract(self._fast.values()[0], self._slow.values()[0], out=self._line)
        for ring, before, mean in self._stages:
            ring[number % len(ring)] = values
            least = np.minimum.reduce(ring, axis=0)
            stands = 100 * (values - least)
            stands /= np.maximum.reduce(ring, axis=0) - least
            mean.step(before.blanked(number, stands))
            values = np.where(mean.seen >= self._least, mean.now, np.nan)

    def carries(self) -> tuple[Row, ...]:
        averages = *self._fast.carries(), *self._slow.carries()
        stages = [
            (*(ring[(self._number - ago) % len(ring)] for ago in range(len(ring))), *mean.carries())
            for ring, _, mean in self._stages
        ]
        return *averages, *itertools.chain.from_iterable(stages)

    def resume(self, assets: NDArray[np.intp], carried: Matrix) -> None:
        super().resume(assets, carried)
        for _, _, mean in self._stages:
            mean.resumed()

    def values(self) -> tuple[Row, ...]:
        mean = self._stages[-1][2]
        known = (mean.seen >= self._least) & np.isfinite(self._line)
        return (np.where(known, mean.now, np.nan),)


@dataclass(frozen=True, slots=True)
class Flows(Carried):
    """What adds up from an asset's first stored bar on, or from the panel's `state`: OBV, ADI, VPT,
    NVI, and the first close."""

    def walk(self, panel: Panel) -> Walk:
        return _FlowsWalk(panel)


class _FlowsWalk(Walk):
    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._balance, self._distribution, self._trend = (
            aligned.zeros(panel.assets) for _ in range(3)
        )
        self._negative = aligned.full(panel.assets, 1000.0)
        self._first = panel.close[0].copy()
        self._begin: dict[int, NDArray[np.intp]] = {}
        state = panel.state
        if state is not None:
            rows = panel.rows - 1 - state.new_bars
            known = state.new_bars >= 0
            lost = np.flatnonzero(known & (rows < panel.starts))
            rows = np.where(known, np.maximum(rows, panel.starts), -1)
            self._values = state.values.copy()
            if panel.bases is not None:
                # A row of -1 is none; what stands there is not used.
                self._values[-1] *= panel.bases.prices[rows, np.arange(panel.assets)]
            self._values[:, lost] = np.nan
            self._begin = by_row(rows)
            self.first = max(0, int(rows.min(initial=panel.rows)))

    def step(self, number: int) -> None:
        panel = self._panel
        close, volume = panel.close[number], panel.volume[number]
        if number:
            before = panel.close[number - 1]
            self._balance += np.where(close < before, -volume, volume)
            change = close / before - 1
            self._trend += change * volume
            # A change that is not a number counts whether volume fell or not.
            self._negative *= 1.0 + change * (panel.volume[number - 1] > volume)
        else:
            self._balance += volume
        high, low = panel.high[number], panel.low[number]
        width = high - low
        place = (close - low) - (high - close)
        place /= width
        place[(width == 0) & (close == low)] = 0.0
        self._distribution += place * volume
        if number in self._begin:
            assets = self._begin[number]
            for now, given in zip(self.values(), self._values, strict=True):
                now[assets] = given[assets]

    def values(self) -> tuple[Row, ...]:
        return self._balance, self._distribution, self._trend, self._negative, self._first
