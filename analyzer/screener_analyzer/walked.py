"""Core: what is carried from bar to bar (`carry`), of earlier bars of each asset, to go on from
there instead of from the first bar that is read.

It holds while the bars up to those are what they were, and their factors too; whether the former
is so, whoever stores it knows. Of an asset that has a bar without values it is not known: that bar
is in what is carried for good, but not in what is computed of later bars alone.
"""

import hashlib
import inspect
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from screener_analyzer import carry
from screener_analyzer.bars import Bars
from screener_analyzer.binary import Days
from screener_analyzer.engine import compute
from screener_analyzer.panel import Matrix, Panel, Resumed, panel
from screener_analyzer.registry import LONGEST_HISTORY

BACK = 32
"""The bar so many before the last one tells by its factors whether what was carried still holds.
None is of an earlier bar."""
LEAST_BEFORE = 160
"""How many bars there must be up to that one: by then all that begins some bars after an asset's
first one has begun."""
TAIL = 288
"""How many bars of an asset with what was carried are enough, usually: see `reaches`."""
_LOOK_BACK, _YEAR = 253, 366
"""So many bars, so many days before the last one, and so many sessions that it has in common with
its benchmark, does all that is computed look back at most, but for what is carried."""
_BASES = 2
"""What the bar's prices, and those adjusted for splits, are divided by come first."""


@dataclass(frozen=True, eq=False, slots=True)
class Walked:
    """What walks had come to at earlier bars of assets, each at its own."""

    values: Matrix
    """(numbers of `layout`, assets)"""
    new_bars: NDArray[np.intp]
    """(assets,): how many of the asset's bars are newer than the one whose factors are kept; -1: it
    is not known."""

    @classmethod
    def none(cls, assets: int) -> "Walked":
        """Of none of the assets."""
        return cls(unknown(assets), np.full(assets, -1, dtype=np.intp))

    def of(self, assets: NDArray[np.bool_] | slice) -> "Walked":
        """That of some of the assets."""
        return Walked(self.values[:, assets], self.new_bars[assets])

    def holds(self, bars: Bars) -> NDArray[np.bool_]:
        """Of which of these assets it can be gone on from: those whose factors are what they were,
        and of which no more bars are there than runs read usually, nor too few before."""
        before = bars.lengths - self.new_bars
        held: NDArray[np.bool_] = (self.new_bars >= 0) & (before >= LEAST_BEFORE)
        held &= bars.used <= LONGEST_HISTORY
        places = np.flatnonzero(held)
        last = np.cumsum(bars.lengths)[places] - 1
        with np.errstate(all="ignore"):
            now = _factors(bars, last - self.new_bars[places]) / _factors(bars, last)
        held[places] = (self.values[:_BASES, places] == now).all(axis=0)
        return held

    def resumed(self, rows: int) -> Resumed:
        """For a panel of so many rows."""
        ends = np.cumsum([each.numbers for each in layout().values()])[:-1] + _BASES
        parts = np.split(self.values, [_BASES, *ends])[1:]
        return Resumed(
            dict(zip(layout(), parts, strict=True)),
            {name: each.back for name, each in layout().items()},
            rows - 1 - self.new_bars + BACK,
        )


def reaches(bars: Bars, benchmarks_begin: Days) -> NDArray[np.bool_]:
    """Of which of these assets nothing but what is carried looks further back than the bars that
    are here. `benchmarks_begin`: the first day of each asset's benchmark."""
    ends = np.cumsum(bars.lengths)
    begins = ends - bars.lengths
    common = np.concatenate([[0], np.cumsum(np.isfinite(bars.benchmark))])
    enough: NDArray[np.bool_] = bars.lengths > _LOOK_BACK
    places = np.flatnonzero(enough)
    begins, ends = begins[places], ends[places]
    first, last = bars.dates[begins], bars.dates[ends - 1]
    together = common[ends] - common[begins]
    enough[places] = last - first >= _YEAR
    enough[places] &= (together >= _LOOK_BACK) | (benchmarks_begin[places] >= first)
    enough |= bars.left_out == 0
    return enough


def _factors(bars: Bars, at: NDArray[np.intp]) -> Matrix:
    """(_BASES, bars at these places)"""
    return np.stack([bars.values[at, 4] / bars.values[at, 3], bars.splits[at]])


def unknown(assets: int) -> Matrix:
    """Values of so many assets of which nothing is known."""
    return np.full((size(), assets), np.nan)


def mark_rows(rows: int) -> dict[Hashable, int]:
    """`Panel.marks` of a panel of so many rows."""
    return {name: rows - 1 - each.back for name, each in layout().items()}


def marked(matrices: Panel) -> Matrix:
    """`Walked.values` of what the columns of the registry, which are computed of the panel already,
    carried at its `mark_rows`."""
    assert matrices.bases is not None
    row = matrices.rows - 1 - BACK
    bases = [base[row, np.newaxis] for base in (matrices.bases.prices, matrices.bases.splits)]
    values = np.concatenate([*bases, *(matrices.marked[name] for name in layout())])
    values[:_BASES, ~np.isfinite(matrices.close).all(axis=0)] = np.nan
    return values


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of something carried."""

    numbers: int
    """So many of an asset."""
    back: int
    """Of the bar so many before the last one: one before those that indicators look at."""


@cache
def layout() -> Mapping[Hashable, Kept]:
    """By the name of what the columns of the registry carry."""
    matrices = panel(np.ones((BACK, 6)), [BACK], dates=np.arange(BACK, dtype=np.int32))
    compute(matrices)
    found = {}
    for name, (numbers, parts) in matrices.walks.items():
        back = max(matrices.looked_at.get(each, 0) for each in (name, *parts))
        assert back < BACK, f"{name} is looked at too far back: {back}"
        if numbers:
            found[name] = Kept(numbers, back)
    return found


@cache
def size() -> int:
    """How many numbers there are of an asset."""
    return _BASES + sum(each.numbers for each in layout().values())


@cache
def _made_by() -> bytes:
    """What tells numbers of this code from those of another."""
    code = inspect.getsource(carry) + str(list(layout().items()))
    return hashlib.sha256(code.encode()).digest()[:16]


def pack(values: Matrix) -> list[bytes]:
    """One text an asset."""
    return [_made_by() + asset.tobytes() for asset in np.ascontiguousarray(values.T, dtype="<f8")]


def is_known(packed: bytes | None) -> bool:
    """Whether `pack` of this code made it."""
    length = len(_made_by()) + 8 * size()
    return packed is not None and len(packed) == length and packed.startswith(_made_by())


def unpack(packed: Sequence[bytes | None]) -> tuple[Matrix, NDArray[np.bool_]]:
    """What `pack` was given, and of which assets it is known."""
    known = [is_known(text) for text in packed]
    texts = (
        text[len(_made_by()) :] for text, ours in zip(packed, known, strict=True) if ours and text
    )
    values = unknown(len(packed))
    values[:, known] = np.frombuffer(b"".join(texts), "<f8").reshape(-1, size()).T
    return values, np.array(known, dtype=np.bool_)
