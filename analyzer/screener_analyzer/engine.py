"""Core: a panel of bars -> the columns of the registry, the latest row or many.

Never guesses: NaN is the answer where there is too little history, where a bar in reach is not
finite, and where the value is not defined (a flat window).
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.carry import Flows, carried
from screener_analyzer.panel import STATE, Matrix, Panel, State
from screener_analyzer.registry import LONGEST_HISTORY, REGISTRY, Indicator, Unit


def compute(
    panel: Panel, indicators: Iterable[Indicator] = REGISTRY, rows: int = 1
) -> dict[str, Matrix]:
    """Each column of `indicators` for the last `rows` rows of the panel: (rows, assets).

    `rows` is at most the panel's. Values are finite or NaN; those of a row are in prices of the
    row's own day where the panel is rebased. Columns that add up from the first stored bar on have
    values where the panel begins with that bar (`Panel.whole`) or is given their state.
    """
    if not 0 < rows <= panel.rows:
        raise ValueError(f"rows: {rows} of a panel of {panel.rows}")
    # Bars up to and with each of the rows.
    counts = np.arange(panel.rows - rows + 1, panel.rows + 1)[:, np.newaxis] - panel.starts
    begun = _begun(panel)
    columns: dict[str, Matrix] = {}
    with np.errstate(all="ignore"):
        for indicator in indicators:
            values = indicator.kernel(panel, rows, **indicator.parameters)
            for output, matrix in zip(indicator.outputs, values, strict=True):
                out = _on_its_day(matrix, output.unit, panel, rows)
                known = np.isfinite(out) & (counts >= output.minimum_bars)
                if output.history == 0:
                    known &= begun
                out = np.where(known, out, np.nan)
                columns[output.column] = out
    return columns


def _on_its_day(values: Matrix, unit: Unit, panel: Panel, rows: int) -> Matrix:
    """In prices and shares of each row's day; the last row is already."""
    if panel.bases is None or rows == 1:
        return values
    for power, base in (
        (unit.prices, panel.bases.prices),
        (unit.split_prices - unit.shares, panel.bases.splits),
    ):
        if power:
            values = values / base[-rows:] ** power
    return values


def state(panel: Panel, before: NDArray[np.intp] | None = None) -> State:
    """What the columns that add up have come to so many bars `before` each asset's last one (None:
    at it), for a panel with as many new bars.

    NaN where they are not known.
    """
    if before is None:
        before = np.zeros(panel.assets, dtype=np.intp)
    rows = int(before.max(initial=0)) + 1
    with np.errstate(all="ignore"):
        each = carried(panel, Flows(), rows)
        at = rows - 1 - before, np.arange(panel.assets)
        values = np.stack([matrix[at] for matrix in each])
        if panel.bases is not None:
            values[STATE.index("first_close")] /= panel.bases.prices[-rows:][at]
    values[:, ~_begun(panel)] = np.nan
    return State(values, before)


def _begun(panel: Panel) -> NDArray[np.bool_]:
    """(assets,): whether what adds up has a beginning."""
    whole = panel.counts < LONGEST_HISTORY if panel.whole is None else panel.whole
    return whole if panel.state is None else whole | (panel.state.new_bars >= 0)
