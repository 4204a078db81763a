"""Core: stored bars of many assets -> rows of technical_indicators of every day since one, each as
it would have been computed on its day."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.bars import UNMOVED, Bars, unmoved
from screener_analyzer.binary import NEVER, Days
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


class History:
    """Of assets: the row of each one's last bar, with every column, and those of its bars from day
    `since` on before that, with these `columns`; what went wrong, by asset, for those without.

    It is asked for of some assets after others, as rows of many days are what memory is bound by.
    Averages in which a bar builds on the one before are computed of all of them together, and so
    are the last rows: a step of theirs takes hardly longer for many assets than for few.
    """

    def __init__(
        self,
        asset_ids: NDArray[np.int32],
        bars: Bars,
        *,
        since: int,
        known: State | None = None,
        adjusted: Adjusted = "all",
        columns: Collection[str] = COLUMNS,
    ) -> None:
        """Each asset has a bar at least. `bars`: those `needed`. `known`: what adds up before the
        rows, of the assets whose first stored bar is not among them."""
        self._asset_ids = asset_ids
        self._bars = bars
        self._since = since
        self._known = known or State.none(len(asset_ids))
        self._adjusted = adjusted
        self._columns = columns
        self._together: tuple[Panel, Computed] | None = None
        # Where that raises an error, whose fault it is shows when each is computed apart.
        with suppress(Exception):
            whole = slice(0, len(asset_ids))
            panel = self._panel(whole)
            self._together = panel, self._last(whole, panel)

    def part(self, part: slice) -> Computed:
        """Of the assets of these numbers."""
        return apart(self._asset_ids[part], _Part(self, part).part)

    def of(self, part: slice) -> Computed:
        """Of the assets of these numbers, with what is computed of all together."""
        if self._together is None:
            return self.alone(part)
        panel, last = self._together
        asset_ids = set(self._asset_ids[part].tolist())
        return Computed(
            last.rows.of(asset_ids),
            self._earlier(part, replace(self._panel(part), within=(panel, part))),
            last.states.of(asset_ids),
            {asset_id: fault for asset_id, fault in last.faults.items() if asset_id in asset_ids},
        )

    def alone(self, part: slice) -> Computed:
        """The same without the others."""
        panel = self._panel(part)
        return self._last(part, panel)._replace(earlier=self._earlier(part, panel))

    def _panel(self, part: slice) -> Panel:
        known = self._known.of(part)
        return self._bars.part(part.start, part.stop).panel(
            state=known, whole=known.new_bars < 0, adjusted=self._adjusted
        )

    def _last(self, part: slice, panel: Panel) -> Computed:
        bars = self._bars.part(part.start, part.stop)
        known = State(state(panel).values, np.zeros(panel.assets, dtype=np.intp))
        # Of the same bars as in a run without a history.
        kept = needed(bars.dates, bars.values, bars.lengths, NEVER)
        return rows_of(
            self._asset_ids[part], bars.where(kept), known=known, adjusted=self._adjusted
        )

    def _earlier(self, part: slice, panel: Panel) -> Rows:
        bars = self._bars.part(part.start, part.stop)
        ends = np.cumsum(bars.lengths)
        wanted = bars.dates >= self._since
        wanted[ends - 1] = False
        counts = np.add.reduceat(wanted, ends - bars.lengths, dtype=np.intp)
        rows = int(counts.max())
        if not rows:
            return Rows.none()
        in_matrix = np.arange(rows) >= (rows - counts)[:, np.newaxis]
        values: dict[str, NDArray[np.float64]] = {}
        for indicator in REGISTRY:
            if not set(indicator.columns) & set(self._columns):
                continue
            # One after another: rows of many days are what memory is bound by.
            for column, matrix in compute(panel, [indicator], rows=rows + 1).items():
                if column in self._columns:
                    values[column] = transposed(matrix[:-1])[in_matrix]
        numbers = np.arange(1, len(bars.dates) + 1) - np.repeat(ends - bars.lengths, bars.lengths)
        found = Rows(
            np.repeat(self._asset_ids[part], counts),
            bars.dates[wanted],
            values,
            numbers[wanted].astype(np.int32),
        )
        # A bar that was set aside has no row.
        return found.where(np.isfinite(bars.values[wanted, 3]))


@dataclass(frozen=True, eq=False, slots=True)
class _Part:
    history: History
    whole: slice

    def part(self, part: slice) -> Computed:
        """Of the assets of these numbers among those of the part."""
        begin = self.whole.start
        if part.stop - part.start == self.whole.stop - begin:
            # Where one among the others is at fault, it is nobody's here.
            with suppress(Exception):
                return self.history.of(self.whole)
        return self.history.alone(slice(begin + part.start, begin + part.stop))
