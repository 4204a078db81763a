"""Core: what adds up from an asset's first stored bar, of assets of which a run reads the last bars
only: carried on from what is known of an earlier bar, or added up over all bars."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.bars import Bars
from screener_analyzer.binary import Days
from screener_analyzer.engine import state
from screener_analyzer.panel import STATE, Adjusted, Matrix, State
from screener_analyzer.registry import LONGEST_HISTORY
from screener_analyzer.walked import unknown

LEAST_BARS = 200
"""Of assets with fewer bars nothing is kept from run to run."""


@dataclass(frozen=True, eq=False, slots=True)
class States:
    """What the columns that add up have come to at the last bars of assets, and what was carried at
    an earlier one."""

    asset_ids: NDArray[np.int32]
    last_bars: Days
    values: Matrix
    """(STATE, assets), as `State.values`."""
    walked: Matrix
    """As `Walked.values`, of the bar BACK bars before the last one."""

    @classmethod
    def none(cls) -> "States":
        """Of no asset."""
        nothing = np.zeros(0, dtype=np.int32)
        return cls(nothing, nothing, np.zeros((len(STATE), 0)), unknown(0))

    def of(self, asset_ids: Collection[int]) -> "States":
        """Those of these assets."""
        kept = np.isin(self.asset_ids, list(asset_ids))
        return States(
            self.asset_ids[kept], self.last_bars[kept], self.values[:, kept], self.walked[:, kept]
        )

    def with_more(self, more: "States") -> "States":
        """These and then those."""
        return States(
            np.concatenate([self.asset_ids, more.asset_ids]),
            np.concatenate([self.last_bars, more.last_bars]),
            np.concatenate([self.values, more.values], axis=1),
            np.concatenate([self.walked, more.walked], axis=1),
        )


def worth_keeping(bars: Bars) -> NDArray[np.bool_]:
    """Of each asset, whether what it comes to is kept from run to run: of fewer bars it is computed
    in no time."""
    return bars.used >= LEAST_BARS


def cut_off(bars: Bars) -> NDArray[np.bool_]:
    """Of each asset, whether it may have bars before these, which are the last that it has."""
    return (bars.used >= LONGEST_HISTORY) | (bars.left_out > 0)


def carried_on(bars: Bars, places: NDArray[np.intp], days: Days, values: Matrix) -> State:
    """The state of the assets at these places, with the day of its bar and its `values` (STATE,
    places); none where that bar is not among the `bars`."""
    found = State.none(len(bars.lengths))
    lengths, lasts = bars.lengths[places], np.cumsum(bars.lengths)[places] - 1
    wanted = np.flatnonzero(lengths > 0)
    new_bars = 0  # nearly always 1 at most
    while len(wanted):
        dates = bars.dates[lasts[wanted] - new_bars]
        there = wanted[dates == days[wanted]]
        found.values[:, places[there]] = values[:, there]
        found.new_bars[places[there]] = new_bars
        new_bars += 1
        wanted = wanted[(dates > days[wanted]) & (lengths[wanted] > new_bars)]
    return found


def added_up(whole: Bars, *, adjusted: Adjusted, since: int | None = None) -> State:
    """The state of assets at the last bar before those of which rows are wanted: the last one's,
    and those of each day from `since` on. `whole`: all their bars, up to the same last ones.

    At the last bar itself where no other is wanted, and at the first where all are.
    """
    wanted = np.zeros(len(whole.lengths), dtype=np.intp)
    if since is not None:
        of_asset = np.repeat(np.arange(len(wanted)), whole.lengths)
        wanted = np.bincount(of_asset[whole.dates >= since], minlength=len(wanted))
    matrices = whole.panel(adjusted=adjusted, whole=np.ones(len(wanted), dtype=np.bool_))
    return state(matrices, np.minimum(wanted, whole.lengths - 1))
