"""Core: what several kernels share."""

import numpy as np

from screener_analyzer.panel import Matrix, Panel
from screener_analyzer.rolling import lagged

ROUNDING = 1e-12
"""Of a difference of two sums, relative to them."""


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


def clear(above: Matrix, size: Matrix) -> Matrix:
    """How far one line is above another, 0 where that is no more than rounding: two lines of prices
    that do not change must not seem to cross."""
    return np.where(np.abs(above) <= ROUNDING * size, 0.0, above)


def bars_since_rise(above: Matrix, lookback: int, rows: int) -> Matrix:
    """How many bars ago `above` (rows + lookback rows, or all there are) became greater than 0
    after it was not; NaN where it did not within `lookback` bars, and beyond a bar of which it is
    not known."""
    rose = (above[1:] > 0) & (above[:-1] <= 0)
    unknown = np.isnan(above[1:]) | np.isnan(above[:-1])
    out = np.full((rows, above.shape[1]), np.nan)
    for ago in reversed(range(lookback)):
        end = max(0, len(rose) - ago)
        begin = max(0, end - rows)
        if end > begin:
            reached = out[rows - (end - begin) :]
            reached[rose[begin:end]] = ago
            reached[unknown[begin:end]] = np.nan
    return out
