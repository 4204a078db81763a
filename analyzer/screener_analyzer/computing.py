"""Core: stored bars of many assets -> rows of technical_indicators."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.bars import TO_UNIX_DAYS, Bars
from screener_analyzer.engine import compute, state
from screener_analyzer.panel import Adjusted, State, panel
from screener_analyzer.registry import REGISTRY, Indicator
from screener_analyzer.rows import Rows
from screener_analyzer.states import States
from screener_analyzer.walked import BACK, Walked, marks, unknown

logger = logging.getLogger(__name__)

Faults = dict[int, Exception]
"""What went wrong, by asset."""

LONG_GROUP = 20
"""How many assets with a long history are computed together, as a panel is as long as its longest
asset."""


class Computed(NamedTuple):
    """Of assets: their rows, what adds up at their last bars, and what went wrong where there are
    none."""

    rows: Rows
    states: States
    faults: Faults

    @classmethod
    def nothing(cls) -> "Computed":
        """Of no asset."""
        return cls(Rows.none(), States.none(), {})

    def with_more(self, more: "Computed") -> "Computed":
        """Of these and then of those."""
        return Computed(
            self.rows.with_more(more.rows),
            self.states.with_more(more.states),
            self.faults | more.faults,
        )


def rows_of(
    asset_ids: NDArray[np.int32],
    bars: Bars,
    *,
    usual: int,
    known: State | None = None,
    walked: Walked | None = None,
    adjusted: Adjusted = "all",
    since: int | None = None,
    indicators: Sequence[Indicator] = REGISTRY,
) -> Computed:
    """The row of each asset's last bar and of its bars from day `since` on, and what went wrong, by
    asset, for those without.

    Each asset has a bar at least. `usual`: how many bars most have at most. `known`: what adds up
    before the rows, of assets whose first stored bar is not among the `bars`. `walked`: what walks
    had come to at an earlier bar, and then what they come to is among the states; None: it is not.
    """
    known = known or State.none(len(asset_ids))
    computed = Computed.nothing()
    long = bars.lengths > usual
    resumed = np.zeros(len(asset_ids), dtype=np.bool_) if walked is None else walked.holds(bars)
    groups = [np.flatnonzero(resumed), np.flatnonzero(~long & ~resumed)]
    longer = np.flatnonzero(long)
    groups += [longer[at : at + LONG_GROUP] for at in range(0, len(longer), LONG_GROUP)]
    for group in groups:
        if len(group):
            chosen = np.zeros(len(asset_ids), dtype=np.bool_)
            chosen[group] = True
            computed = computed.with_more(
                _of_panel(
                    asset_ids[chosen],
                    bars.of(chosen),
                    known.of(chosen),
                    None if walked is None else walked.of(chosen),
                    adjusted,
                    since,
                    indicators,
                )
            )
    return computed


def _of_panel(
    asset_ids: NDArray[np.int32],
    bars: Bars,
    known: State,
    walked: Walked | None,
    adjusted: Adjusted,
    since: int | None,
    indicators: Sequence[Indicator],
) -> Computed:
    ends = np.cumsum(bars.lengths)
    last = np.zeros(len(bars.dates), dtype=np.bool_)
    last[ends - 1] = True
    wanted = np.flatnonzero(last if since is None else last | (bars.dates >= since))
    counts = np.diff(np.searchsorted(wanted, ends), prepend=0)
    rows = int(bars.lengths.max())
    resumed = walked is not None and walked.holds(bars).all()
    marked = walked is not None and rows > BACK
    try:
        matrices = panel(
            bars.values,
            bars.lengths.tolist(),
            dates=bars.dates + np.int32(TO_UNIX_DAYS),
            split_factors=bars.splits,
            benchmark=bars.benchmark,
            minor_units=bars.minor_units,
            state=known,
            resumed=walked.resumed(rows) if walked is not None and resumed else None,
            mark=rows - 1 - BACK if marked else None,
            adjusted=adjusted,
        )
        columns = compute(matrices, indicators, rows=int(counts.max()))
        states = States(
            asset_ids,
            bars.dates[ends - 1],
            state(matrices).values,
            marks(matrices) if marked else unknown(len(asset_ids)),
        )
    except Exception as error:
        if len(asset_ids) == 1:
            logger.exception("computing failed", extra={"asset_id": int(asset_ids[0])})
            return Computed(Rows.none(), States.none(), {int(asset_ids[0]): error})
        # One of them is at fault: it is found by halving.
        half, end = len(asset_ids) // 2, len(asset_ids)
        first, second = (
            _of_panel(
                asset_ids[begin:to],
                bars.part(begin, to),
                known.of(slice(begin, to)),
                None if walked is None else walked.of(slice(begin, to)),
                adjusted,
                since,
                indicators,
            )
            for begin, to in ((0, half), (half, end))
        )
        return first.with_more(second)
    in_rows = np.arange(counts.max()) >= (counts.max() - counts)[:, np.newaxis]
    before = np.repeat(ends - bars.lengths, counts)
    found = Rows(
        np.repeat(asset_ids, counts),
        bars.dates[wanted],
        {column: values.T[in_rows] for column, values in columns.items()},
        (wanted + 1 - before).astype(np.int32),
    )
    # A bar that was set aside has no row.
    return Computed(found.where(np.isfinite(bars.values[wanted, 3])), states, {})
