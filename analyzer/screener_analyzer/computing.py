"""Core: stored bars of many assets -> rows of technical_indicators."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.bars import Bars
from screener_analyzer.engine import compute, state
from screener_analyzer.panel import Adjusted, State, chunks
from screener_analyzer.registry import LONGEST_HISTORY, REGISTRY, Indicator
from screener_analyzer.rows import Rows
from screener_analyzer.states import States
from screener_analyzer.walked import BACK, Walked, mark_rows, marked, unknown

logger = logging.getLogger(__name__)

Faults = dict[int, Exception]
"""What went wrong, by asset."""

LONG_GROUP = 20
"""How many assets with a long history are computed together, as a panel is as long as its longest
asset."""


class Computed(NamedTuple):
    """Of assets: the rows of their last bars, those of bars before, what adds up at their last
    bars, and what went wrong where there are none."""

    rows: Rows
    earlier: Rows
    states: States
    faults: Faults

    @classmethod
    def nothing(cls) -> "Computed":
        """Of no asset."""
        return cls(Rows.none(), Rows.none(), States.none(), {})

    def with_more(self, more: "Computed") -> "Computed":
        """Of these and then of those."""
        return Computed(
            self.rows.with_more(more.rows),
            self.earlier.with_more(more.earlier),
            self.states.with_more(more.states),
            self.faults | more.faults,
        )


def rows_of(
    asset_ids: NDArray[np.int32],
    bars: Bars,
    *,
    usual: int = LONGEST_HISTORY,
    known: State | None = None,
    walked: Walked | None = None,
    adjusted: Adjusted = "all",
    indicators: Sequence[Indicator] = REGISTRY,
) -> Computed:
    """The row of each asset's last bar, and what went wrong, by asset, for those without.

    Each asset has a bar at least. `usual`: how many bars most have at most. `known`: what adds up
    before the rows, of assets whose first stored bar is not among the `bars`. `walked`: what walks
    had come to at an earlier bar, and then what they come to is among the states; None: it is not.
    """
    known = known or State.none(len(asset_ids))
    computed = Computed.nothing()
    long = bars.lengths > usual
    resumed = np.zeros(len(asset_ids), dtype=np.bool_) if walked is None else walked.holds(bars)
    groups = [(np.flatnonzero(resumed), walked), (np.flatnonzero(~long & ~resumed), None)]
    longer = np.flatnonzero(long)
    groups += [(longer[part], None) for part in chunks(len(longer), LONG_GROUP)]
    for group, held in groups:
        if len(group):
            chosen = np.zeros(len(asset_ids), dtype=np.bool_)
            chosen[group] = True
            some = _OfPanel(
                asset_ids[chosen],
                bars.of(chosen),
                known.of(chosen),
                None if held is None else held.of(chosen),
                walked is not None,
                adjusted,
                indicators,
            )
            computed = computed.with_more(apart(asset_ids[chosen], some.part))
    return computed


def apart(
    asset_ids: NDArray[np.int32],
    compute_part: Callable[[slice], Computed],
    part: slice | None = None,
) -> Computed:
    """What is computed of all the assets (or a part of them); where that raises an error, of all
    but those at fault, which are found by halving."""
    # No function within, which would hold itself, and with it all bars, until a collection.
    begin, end = (0, len(asset_ids)) if part is None else (part.start, part.stop)
    try:
        return compute_part(slice(begin, end))
    except Exception as error:
        if end - begin == 1:
            asset_id = int(asset_ids[begin])
            logger.exception("computing failed", extra={"asset_id": asset_id})
            return Computed.nothing()._replace(faults={asset_id: error})
    half = (begin + end) // 2
    first, second = (
        apart(asset_ids, compute_part, slice(*ends)) for ends in ((begin, half), (half, end))
    )
    return first.with_more(second)


@dataclass(frozen=True, eq=False, slots=True)
class _OfPanel:
    """What the rows of the last bars of assets are computed of, together."""

    asset_ids: NDArray[np.int32]
    bars: Bars
    known: State
    walked: Walked | None
    """What all of them go on from; None: from their first bars."""
    marked: bool
    """Whether what walks come to is to be among the states."""
    adjusted: Adjusted
    indicators: Sequence[Indicator]

    def part(self, part: slice) -> Computed:
        """Of some of the assets."""
        asset_ids, bars = self.asset_ids[part], self.bars.part(part.start, part.stop)
        ends = np.cumsum(bars.lengths)
        rows = int(bars.lengths.max())
        to_mark = self.marked and rows > BACK
        matrices = bars.panel(
            state=self.known.of(part),
            whole=bars.used < LONGEST_HISTORY,
            resumed=None if self.walked is None else self.walked.of(part).resumed(rows),
            marks=mark_rows(rows) if to_mark else None,
            adjusted=self.adjusted,
        )
        columns = compute(matrices, self.indicators)
        states = States(
            asset_ids,
            bars.dates[ends - 1],
            state(matrices).values,
            marked(matrices) if to_mark else unknown(len(asset_ids)),
        )
        found = Rows(
            asset_ids,
            bars.dates[ends - 1],
            # Copies, or a row would hold all that it is a part of.
            {column: values[0].copy() for column, values in columns.items()},
            bars.used.astype(np.int32),
        )
        # A bar that was set aside has no row.
        there = np.isfinite(bars.values[ends - 1, 3])
        return Computed(found.where(there), Rows.none(), states, {})
