"""Core: windows over the last bars of every asset of a matrix (bars, assets).

Each function answers for the last `rows` rows; a row with fewer than `window` rows up to it is NaN.
Sums are taken in one order whatever `rows` is, so the latest row alone equals the last of all rows
bit for bit, and never from running totals, which keep a residue of what has left the window.
"""

from collections.abc import Callable

import numpy as np

from screener_analyzer import aligned
from screener_analyzer.panel import Matrix


def _windows(
    values: Matrix, window: int, rows: int, compute: Callable[[Matrix, int], Matrix]
) -> Matrix:
    """`compute(values in reach, full windows)` below the rows that have no full window."""
    reach = values[-(rows + window - 1) :]
    full = len(reach) - window + 1
    if full == rows:
        return compute(reach, full)
    out = np.full((rows, values.shape[1]), np.nan)
    if full > 0:
        out[-full:] = compute(reach, full)
    return out


def total(values: Matrix, window: int, rows: int) -> Matrix:
    """Sum of each window."""

    return _windows(values, window, rows, lambda reach, full: _sums(reach, window, full))


def _sums(reach: Matrix, window: int, full: int) -> Matrix:
    """Of `full` windows: each the sum of blocks of powers of two, the largest and oldest first, a
    block the sum of its halves."""
    widths = [1 << bit for bit in reversed(range(window.bit_length())) if window >> bit & 1]
    out: Matrix | None = None
    begin = 0
    slid = {} if full == 1 else _slid_blocks(reach, window)
    for width in widths:
        if full == 1:
            block = reach[begin : begin + width]
            while len(block) > 1:
                block = block[::2] + block[1::2]
        else:
            block = slid[width][begin : begin + full]
        out = block.copy() if out is None else np.add(out, block, out=out)
        begin += width
    assert out is not None, "a window has at least one row"
    return out


def _slid_blocks(reach: Matrix, window: int) -> dict[int, Matrix]:
    """By width, the sums of so many rows from each row on; widths are powers of two."""
    blocks = {1: reach}
    width = 1
    while 2 * width <= window:
        block = blocks[width]
        blocks[2 * width] = block[:-width] + block[width:]
        width *= 2
    return blocks


def mean(values: Matrix, window: int, rows: int) -> Matrix:
    """Mean of each window."""
    return total(values, window, rows) / window


def weighted_mean(values: Matrix, window: int, rows: int) -> Matrix:
    """Mean of each window in which the newest weighs `window`, the oldest 1."""
    weights = [n * 2 / (window * (window + 1)) for n in range(1, window + 1)]

    def compute(reach: Matrix, full: int) -> Matrix:
        out, part = aligned.zeros(reach[:full].shape), aligned.empty(reach[:full].shape)
        for offset, weight in enumerate(weights):
            out += np.multiply(reach[offset : offset + full], weight, out=part)
        return out

    return _windows(values, window, rows, compute)


def slope(values: Matrix, window: int, rows: int) -> Matrix:
    """Least-squares slope of each window, a row; exactly 0 where the window is flat."""
    steps = np.arange(window) - (window - 1) / 2.0
    norm = float(steps @ steps)

    def compute(reach: Matrix, full: int) -> Matrix:
        last = reach[window - 1 :]
        out, part = aligned.zeros(last.shape), aligned.empty(last.shape)
        for offset in range(window - 1):
            np.subtract(reach[offset : offset + full], last, out=part)
            part *= steps[offset] / norm
            out += part
        return out

    return _windows(values, window, rows, compute)


def deviation(values: Matrix, window: int, rows: int, *, ddof: int) -> Matrix:
    """Standard deviation of each window; exactly 0 where the window is flat."""

    def compute(reach: Matrix, full: int) -> Matrix:
        # Measured from the last value: no digits are lost where prices are large and moves small.
        last = reach[window - 1 :]
        middle, distance = aligned.zeros(last.shape), aligned.empty(last.shape)
        for offset in range(window - 1):
            middle += np.subtract(reach[offset : offset + full], last, out=distance)
        middle /= window
        squares = middle * middle
        for offset in range(window - 1):
            np.subtract(reach[offset : offset + full], last, out=distance)
            distance -= middle
            distance *= distance
            squares += distance
        squares /= window - ddof
        return np.sqrt(squares, out=squares)

    return _windows(values, window, rows, compute)


def mean_deviation(values: Matrix, window: int, rows: int) -> tuple[Matrix, Matrix]:
    """Distance of the last value from the window's mean, and the mean distance of all from it."""
    middles: list[Matrix] = []

    def compute(reach: Matrix, full: int) -> Matrix:
        last = reach[window - 1 :]
        middle, distance = aligned.zeros(last.shape), aligned.empty(last.shape)
        for offset in range(window - 1):
            middle += np.subtract(reach[offset : offset + full], last, out=distance)
        middle /= window
        distances = np.abs(middle)
        for offset in range(window - 1):
            np.subtract(reach[offset : offset + full], last, out=distance)
            distance -= middle
            distances += np.abs(distance, out=distance)
        distances /= window
        whole = np.full((rows, values.shape[1]), np.nan)
        whole[-full:] = -middle
        middles.append(whole)
        return distances

    spread = _windows(values, window, rows, compute)
    return (middles[0] if middles else np.full_like(spread, np.nan)), spread


def _extreme(values: Matrix, window: int, rows: int, choose: np.ufunc) -> Matrix:
    def compute(reach: Matrix, full: int) -> Matrix:
        if full == 1:
            return np.asarray(choose.reduce(reach, axis=0, keepdims=True))
        # An extreme may be taken twice: windows of a power of two, overlapping.
        width = 1
        while 2 * width <= window:
            reach = choose(reach[width:], reach[:-width])
            width *= 2
        rest = window - width
        return np.asarray(choose(reach[rest:], reach[: len(reach) - rest])) if rest else reach

    return _windows(values, window, rows, compute)


def maximum(values: Matrix, window: int, rows: int) -> Matrix:
    """Greatest value of each window."""
    return _extreme(values, window, rows, np.maximum)


def minimum(values: Matrix, window: int, rows: int) -> Matrix:
    """Least value of each window."""
    return _extreme(values, window, rows, np.minimum)


def rows_since_maximum(values: Matrix, window: int, rows: int) -> Matrix:
    """How many rows ago each window's greatest value was; the oldest of equal ones."""

    def compute(reach: Matrix, full: int) -> Matrix:
        best = maximum(reach, window, full)
        ago = np.zeros_like(best)
        for offset in reversed(range(window - 1)):
            is_best = reach[offset : offset + full] == best
            np.copyto(ago, float(window - 1 - offset), where=is_best)
        ago[np.isnan(best)] = np.nan
        return ago

    return _windows(values, window, rows, compute)


def reach(values: Matrix, rows: int) -> Matrix:
    """The last `rows` rows; above a shorter matrix its first row is repeated."""
    if len(values) >= rows:
        return values[-rows:]
    return np.concatenate([np.repeat(values[:1], rows - len(values), axis=0), values])


def lagged(values: Matrix, ago: int, rows: int) -> Matrix:
    """What each of the last `rows` rows was `ago` rows before; NaN before the first."""
    whole = values[-(rows + ago) :]
    have = len(whole) - ago
    if have >= rows:
        return whole[:rows]
    out = np.full((rows, values.shape[1]), np.nan)
    if have > 0:
        out[-have:] = whole[:have]
    return out
