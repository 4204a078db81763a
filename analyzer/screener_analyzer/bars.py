"""Core: stored bars of many assets, one asset after another, and what goes with them."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.binary import Days
from screener_analyzer.panel import Adjusted, Matrix, Panel, Resumed, State, panel

TO_UNIX_DAYS = 10957
"""From days since 2000-01-01 to days since 1970-01-01."""


UNMOVED = 180
"""So many last closes without a change, and an asset is read whole: of what its averages carry from
before, nothing is small enough then."""


@dataclass(frozen=True, eq=False, slots=True)
class Bars:
    """Bars of assets, each asset's oldest first. A bar that was set aside is there without values,
    as nothing may be computed across it."""

    dates: Days
    values: Matrix
    """(bars, open high low close adj_close volume), as they are stored."""
    lengths: NDArray[np.intp]
    """Of each asset; 0 for one without."""
    splits: NDArray[np.float64]
    """What each bar's raw price is multiplied by to be adjusted for the splits since."""
    benchmark: NDArray[np.float64]
    """The adjusted close of its exchange's benchmark on each bar's day; NaN where there is none."""
    minor_units: NDArray[np.float64]
    """Of each asset, how many of the unit of its prices make one of its currency (100 for pence);
    NaN where that is not known."""
    left_out: NDArray[np.intp]
    """Of each asset, how many bars before these there are that runs read usually, and that are not
    here, as what was carried stands for them (`walked`)."""

    @property
    def used(self) -> NDArray[np.intp]:
        """Of each asset, how many bars what is computed is of."""
        return self.lengths + self.left_out

    def part(self, begin: int, end: int) -> "Bars":
        """The bars of the assets from number `begin` to before `end`."""
        at, to = int(self.lengths[:begin].sum()), int(self.lengths[:end].sum())
        return Bars(
            self.dates[at:to],
            self.values[at:to],
            self.lengths[begin:end],
            self.splits[at:to],
            self.benchmark[at:to],
            self.minor_units[begin:end],
            self.left_out[begin:end],
        )

    def only(self, assets: NDArray[np.bool_]) -> "Bars":
        """The bars of some of the assets, and none of the others, which are still there."""
        if assets.all():
            return self
        kept = np.flatnonzero(np.repeat(assets, self.lengths))
        return self._kept(kept, np.where(assets, self.lengths, 0))

    def where(self, kept: NDArray[np.bool_]) -> "Bars":
        """Some of the bars of all the assets."""
        if kept.all():
            return self
        before = np.concatenate([[0], np.cumsum(kept)])
        ends = np.cumsum(self.lengths)
        return self._kept(kept, before[ends] - before[ends - self.lengths])

    def _kept(
        self, bars: NDArray[np.bool_] | NDArray[np.intp], lengths: NDArray[np.intp]
    ) -> "Bars":
        """Some of the bars, so many of each asset."""
        return Bars(
            self.dates[bars],
            self.values.T[:, bars].T,
            lengths,
            self.splits[bars],
            self.benchmark[bars],
            self.minor_units,
            self.left_out,
        )

    def of(self, assets: NDArray[np.bool_]) -> "Bars":
        """The bars of some of the assets."""
        if assets.all():
            return self
        some = self.only(assets)
        return replace(
            some,
            lengths=self.lengths[assets],
            minor_units=self.minor_units[assets],
            left_out=self.left_out[assets],
        )

    @classmethod
    def joined(cls, parts: Sequence["Bars"]) -> "Bars":
        """The bars of the assets of one after those of another; one part at least."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.dates for part in parts]),
            # A field's values stay beside each other in memory.
            np.concatenate([part.values.T for part in parts], axis=1).T,
            np.concatenate([part.lengths for part in parts]),
            np.concatenate([part.splits for part in parts]),
            np.concatenate([part.benchmark for part in parts]),
            np.concatenate([part.minor_units for part in parts]),
            np.concatenate([part.left_out for part in parts]),
        )

    def with_others(self, places: NDArray[np.intp], others: "Bars") -> "Bars":
        """These, with the bars of `others` for the assets at these places."""
        pieces = np.cumsum(self.lengths)[:-1]
        theirs = np.cumsum(others.lengths)[:-1]

        def mixed(ours: NDArray[Any], more: NDArray[Any]) -> NDArray[Any]:
            parts = np.split(ours, pieces)
            for place, part in zip(places.tolist(), np.split(more, theirs), strict=True):
                parts[place] = part
            return np.concatenate(parts)

        def put(ours: NDArray[Any], more: NDArray[Any]) -> NDArray[Any]:
            ours = ours.copy()
            ours[places] = more
            return ours

        return Bars(
            mixed(self.dates, others.dates),
            mixed(self.values, others.values),
            put(self.lengths, others.lengths),
            mixed(self.splits, others.splits),
            mixed(self.benchmark, others.benchmark),
            put(self.minor_units, others.minor_units),
            put(self.left_out, others.left_out),
        )

    def panel(
        self,
        *,
        adjusted: Adjusted,
        state: State | None = None,
        whole: NDArray[np.bool_] | None = None,
        resumed: Resumed | None = None,
        marks: Mapping[Hashable, int] | None = None,
    ) -> Panel:
        """Side by side; the rest is as in `panel.panel`."""
        return panel(
            self.values,
            self.lengths.tolist(),
            dates=self.dates + np.int32(TO_UNIX_DAYS),
            split_factors=self.splits,
            benchmark=self.benchmark,
            minor_units=self.minor_units,
            state=state,
            whole=whole,
            resumed=resumed,
            marks=marks,
            adjusted=adjusted,
        )


@dataclass(frozen=True, eq=False, slots=True)
class Benchmark:
    """The bars of an exchange's benchmark."""

    dates: Days
    """Ascending."""
    closes: NDArray[np.float64]
    """Adjusted."""


def split_factors(
    dates: Days, lengths: NDArray[np.intp], splits: Mapping[int, Sequence[tuple[int, float]]]
) -> NDArray[np.float64]:
    """`Bars.splits`, from the splits (day, new shares an old one) of assets by their number."""
    factors = np.ones(len(dates))
    ends = np.cumsum(lengths)
    for asset, found in splits.items():
        part = slice(ends[asset] - lengths[asset], ends[asset])
        for day, ratio in found:
            factors[part][dates[part] < day] /= ratio
    return factors


def unmoved(values: Matrix, lengths: NDArray[np.intp], bars: int) -> NDArray[np.bool_]:
    """Of each asset, whether it has more than `bars` bars and none of its last `bars` closes
    differs from the others: averages that build on themselves still carry what was before."""
    ends = np.cumsum(lengths)
    moved = np.zeros(len(values) + 1, dtype=np.intp)
    moved[2:] = np.cumsum(values[1:, 3] != values[:-1, 3])
    long = lengths > bars
    still = np.zeros(len(lengths), dtype=np.bool_)
    at = ends[long]
    still[long] = moved[at] == moved[at - bars + 1]
    return still
