"""Core: a panel of bars -> the columns of the registry, the latest row or many.

Never guesses: NaN is the answer where there is too little history, where a bar in reach is not
finite, and where the value is not defined (a flat window).
"""

from collections.abc import Iterable

import numpy as np

from screener_analyzer.panel import Matrix, Panel
from screener_analyzer.registry import REGISTRY, Indicator, Unit


def compute(
    panel: Panel, indicators: Iterable[Indicator] = REGISTRY, rows: int = 1
) -> dict[str, Matrix]:
    """Each column of `indicators` for the last `rows` rows of the panel: (rows, assets).

    `rows` is at most the panel's. Values are finite or NaN; those of a row are in prices of the
    row's own day where the panel is rebased.
    """
    if not 0 < rows <= panel.rows:
        raise ValueError(f"rows: {rows} of a panel of {panel.rows}")
    # Bars up to and with each of the rows.
    counts = np.arange(panel.rows - rows + 1, panel.rows + 1)[:, np.newaxis] - panel.starts
    columns: dict[str, Matrix] = {}
    with np.errstate(all="ignore"):
        for indicator in indicators:
            values = indicator.kernel(panel, rows, **indicator.parameters)
            for output, matrix in zip(indicator.outputs, values, strict=True):
                out = _on_its_day(matrix, output.unit, panel, rows)
                out = np.where(np.isfinite(out) & (counts >= output.minimum_bars), out, np.nan)
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
