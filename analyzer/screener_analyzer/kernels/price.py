"""Core: kernels of prices themselves and of how they move with a benchmark."""

import numpy as np
from numpy.typing import NDArray

from screener_analyzer import rolling
from screener_analyzer.kernels.shared import ratio
from screener_analyzer.panel import Matrix, Outputs, Panel


def extremes(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Highest high and lowest low of `window` bars, adjusted for splits only."""
    return (
        rolling.maximum(panel.split_high, window, rows),
        rolling.minimum(panel.split_low, window, rows),
    )


def last_raw_close(panel: Panel, rows: int) -> Outputs:
    """The close as the vendor gives it, unadjusted."""
    return (panel.raw_close[-rows:],)


def beta(panel: Panel, rows: int, *, window: int, least: int) -> Outputs:
    """Least-squares slope of the simple returns on the benchmark's, between the last common
    sessions: `window` returns, or as many as there are; NaN below `least`, without a benchmark, and
    where it did not move.

    A session that only one of them has is left out: the return spans it, for both.
    """
    if panel.benchmark is None:
        return (np.full((rows, panel.assets), np.nan),)
    common = np.isfinite(panel.benchmark) & (np.arange(panel.rows)[:, np.newaxis] >= panel.starts)
    so_far = common[:-rows].sum(axis=0) + np.cumsum(common[-rows:], axis=0)
    ours, theirs = (
        _returns(_packed(matrix, common, so_far[-1], panel.counts), rows + window - 1)
        for matrix in (panel.close, panel.benchmark)
    )
    n = np.clip(np.arange(1 - rows, 1)[:, np.newaxis] + so_far[-1] - 1, 0, window)
    total, total_theirs = (rolling.total(matrix, window, rows) for matrix in (ours, theirs))
    together = rolling.total(ours * theirs, window, rows) - total * total_theirs / n
    alone = rolling.total(theirs * theirs, window, rows) - total_theirs * total_theirs / n
    slope = ratio(together, alone)
    slope[n < least] = np.nan
    # From common sessions to the asset's own: each has the value of the last common one.
    return (np.take_along_axis(slope, rows - 1 - (so_far[-1] - so_far), axis=0),)


def _packed(
    values: Matrix,
    common: NDArray[np.bool_],
    together: NDArray[np.intp],
    counts: NDArray[np.intp],
) -> Matrix:
    """Only the common sessions, in the last rows; above them the first one is repeated."""
    gaps = np.flatnonzero((together < counts) & (together > 0))
    if not len(gaps):
        return values
    order = np.argsort(common[:, gaps], axis=0, kind="stable")
    begin = len(values) - together[gaps]
    order = np.where(
        np.arange(len(values))[:, np.newaxis] < begin, order[begin, np.arange(len(gaps))], order
    )
    out = values.copy()
    out[:, gaps] = np.take_along_axis(values[:, gaps], order, axis=0)
    return out


def _returns(closes: Matrix, rows: int) -> Matrix:
    """Of the last `rows` bars; 0 where there are none."""
    closes = rolling.reach(closes, rows + 1)
    return closes[1:] / closes[:-1] - 1.0
