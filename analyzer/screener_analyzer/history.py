"""Core: stored bars of many assets -> rows of technical_indicators of every day since one, each as
it would have been computed on its day."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.bars import UNMOVED, Bars, unmoved
from screener_analyzer.binary import Days
from screener_analyzer.computing import Computed, apart, rows_of
from screener_analyzer.engine import compute, state
from screener_analyzer.panel import Adjusted, Matrix, Panel, State, transposed
from screener_analyzer.registry import COLUMNS, LONGEST_HISTORY, REGISTRY
from screener_analyzer.rows import Rows


def needed(dates: Days, values: Matrix, lengths: NDArray[np.intp], since: int) -> NDArray[np.bool_]:
    """Of all stored bars of assets, those that their rows from day `since` on are computed of:
    these days and as many bars before as runs read; all of an asset that does not move, of which
    nothing that is carried is ever small."""
    of_asset = np.repeat(np.arange(len(lengths)), lengths)
    from_end = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(dates))
    later = np.bincount(of_asset[dates >= since], minlength=len(lengths))
    return (from_end <= LONGEST_HISTORY + later[of_asset]) | unmoved(values, lengths, UNMOVED)[
        of_asset
    ]


def history_of(
    asset_ids: NDArray[np.int32],
    bars: Bars,
    *,
    since: int,
    known: State | None = None,
    adjusted: Adjusted = "all",
    columns: Collection[str] = COLUMNS,
) -> Computed:
    """The row of each asset's last bar, with every column, and those of its bars from day `since`
    on before that, with these `columns`; what went wrong, by asset, for those without.

    Each asset has a bar at least. `bars`: those `needed`. `known`: what adds up before the rows, of
    the assets whose first stored bar is not among them.
    """
    known = known or State.none(len(asset_ids))
    return apart(asset_ids, _History(asset_ids, bars, since, known, adjusted, columns).part)


@dataclass(frozen=True, eq=False, slots=True)
class _History:
    asset_ids: NDArray[np.int32]
    bars: Bars
    since: int
    known: State
    adjusted: Adjusted
    columns: Collection[str]

    def part(self, part: slice) -> Computed:
        """Of some of the assets."""
        asset_ids, bars = self.asset_ids[part], self.bars.part(part.start, part.stop)
        known = self.known.of(part)
        matrices = bars.panel(state=known, whole=known.new_bars < 0, adjusted=self.adjusted)
        earlier = self._earlier(asset_ids, bars, matrices)
        at_last = State(state(matrices).values, np.zeros(len(asset_ids), dtype=np.intp))
        del matrices
        # Of the same bars as in a run without a history.
        kept = needed(bars.dates, bars.values, bars.lengths, np.iinfo(np.int32).max)
        last = rows_of(asset_ids, bars.where(kept), known=at_last, adjusted=self.adjusted)
        return last._replace(earlier=earlier)

    def _earlier(self, asset_ids: NDArray[np.int32], bars: Bars, matrices: Panel) -> Rows:
        ends = np.cumsum(bars.lengths)
        wanted = bars.dates >= self.since
        wanted[ends - 1] = False
        counts = np.add.reduceat(wanted, ends - bars.lengths, dtype=np.intp)
        rows = int(counts.max())
        if not rows:
            return Rows.none()
        in_matrix = np.arange(rows) >= (rows - counts)[:, np.newaxis]
        values: dict[str, NDArray[np.float64]] = {}
        for indicator in REGISTRY:
            if not set(indicator.columns) & set(self.columns):
                continue
            # One after another: rows of many days are what memory is bound by.
            for column, matrix in compute(matrices, [indicator], rows=rows + 1).items():
                if column in self.columns:
                    values[column] = transposed(matrix[:-1])[in_matrix]
        numbers = np.arange(1, len(bars.dates) + 1) - np.repeat(ends - bars.lengths, bars.lengths)
        found = Rows(
            np.repeat(asset_ids, counts),
            bars.dates[wanted],
            values,
            numbers[wanted].astype(np.int32),
        )
        # A bar that was set aside has no row.
        return found.where(np.isfinite(bars.values[wanted, 3]))
