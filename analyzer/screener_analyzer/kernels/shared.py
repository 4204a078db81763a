"""Core: what several kernels share."""

import numpy as np

from screener_analyzer.panel import Matrix, Panel
from screener_analyzer.rolling import lagged


def typical_price(panel: Panel, rows: int) -> Matrix:
    """Mean of high, low and close, of the last `rows` rows."""
    return (panel.high[-rows:] + panel.low[-rows:] + panel.close[-rows:]) / 3.0


def ratio(above: Matrix, below: Matrix) -> Matrix:
    """above / below; NaN where below is 0."""
    out = above / below
    out[below == 0] = np.nan
    return out


def change(values: Matrix, ago: int, rows: int) -> Matrix:
    """Of each of the last `rows` rows since `ago` rows before, as a share of what it was; NaN where
    that was 0."""
    before = lagged(values, ago, rows)
    return ratio(values[-len(before) :] - before, before)


def bars_since_rise(above: Matrix, lookback: int, rows: int) -> Matrix:
    """How many bars ago `above` (rows + lookback rows, or all there are) became greater than 0
    after it was not; NaN where it did not within `lookback` bars."""
    rose = (above[1:] > 0) & (above[:-1] <= 0)
    out = np.full((rows, above.shape[1]), np.nan)
    for ago in reversed(range(lookback)):
        end = max(0, len(rose) - ago)
        flags = rose[max(0, end - rows) : end]
        if len(flags):
            out[rows - len(flags) :][flags] = ago
    return out
