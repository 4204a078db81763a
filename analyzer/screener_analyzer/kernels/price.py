"""Core: kernels of prices themselves and of how they move with a benchmark."""

import numpy as np
from numpy.typing import NDArray

from screener_analyzer import rolling
from screener_analyzer.kernels.shared import change, ratio
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


def bar_returns(panel: Panel, rows: int, *, ago: tuple[int, ...]) -> Outputs:
    """Total return and price return since each of so many bars ago, in %."""
    return tuple(
        100 * change(closes, bars, rows)
        for bars in ago
        for closes in (panel.close, panel.split_close)
    )


def log_return(panel: Panel, rows: int) -> Outputs:
    """Difference of the logarithms of the last two closes, x 100."""
    logarithms = np.log(panel.close[-(rows + 1) :])
    return (100 * (logarithms[-rows:] - rolling.lagged(logarithms, 1, rows)),)


def month_returns(panel: Panel, rows: int, *, months: tuple[int, ...]) -> Outputs:
    """Total return and price return since the last bar on or before the day so many months
    earlier, in %; 0 months: since the last bar of the year before."""
    out: list[Matrix] = []
    for number in months:
        base = _months_before(panel, rows, number)
        out += [_since(closes, base, rows) for closes in (panel.close, panel.split_close)]
    return tuple(out)


def relative_strength(panel: Panel, rows: int, *, months: tuple[int, ...]) -> Outputs:
    """Total return over the benchmark's between the same two days, less 1, in %."""
    nothing = np.full((rows, panel.assets), np.nan)
    if panel.benchmark is None:
        return tuple(nothing for _ in months)
    out = []
    for number in months:
        base = _months_before(panel, rows, number)
        ours, theirs = (
            1 + _since(closes, base, rows) / 100 for closes in (panel.close, panel.benchmark)
        )
        out.append(100 * (ratio(ours, theirs) - 1))
    return tuple(out)


def _months_before(panel: Panel, rows: int, months: int) -> NDArray[np.intp]:
    """(rows, assets): the row of the last bar on or before the day so many months earlier; -1:
    there is none, or days are not known."""
    if panel.dates is None:
        return np.full((rows, panel.assets), -1)
    name = ("months before", months, rows)
    if name in panel.kept:
        return panel.kept[name][0].astype(np.intp)
    days = panel.dates[-rows:].astype("datetime64[D]")
    if months:
        month = days.astype("datetime64[M]")
        day_of_month = days - month.astype("datetime64[D]")
        earlier = month - months
        end = (earlier + 1).astype("datetime64[D]") - 1
        wanted = np.minimum(earlier.astype("datetime64[D]") + day_of_month, end)
    else:
        wanted = days.astype("datetime64[Y]").astype("datetime64[D]") - 1
    goal = wanted.astype(np.int32)
    # The last row of an ascending column that is not above the goal, by halving.
    least = np.broadcast_to(panel.starts - 1, goal.shape).copy()
    most = np.broadcast_to(np.arange(panel.rows - rows, panel.rows)[:, np.newaxis], goal.shape)
    most = most.copy()
    for _ in range(panel.rows.bit_length() + 1):
        middle = (least + most + 1) // 2
        day = np.take_along_axis(panel.dates, np.clip(middle, 0, panel.rows - 1), axis=0)
        early = (day <= goal) & (middle >= panel.starts)
        least = np.where(early, np.maximum(least, middle), least)
        most = np.where(early, most, np.maximum(middle - 1, least))
    found = np.where(least < panel.starts, -1, least)
    panel.kept[name] = (found.astype(np.float64),)
    return found


def _since(closes: Matrix, base: NDArray[np.intp], rows: int) -> Matrix:
    before = np.take_along_axis(closes, np.maximum(base, 0), axis=0)
    before = np.where(base < 0, np.nan, before)
    return 100 * ratio(closes[-rows:] - before, before)


def distances(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Distance of the close from the highest high and the lowest low of `window` bars, all adjusted
    for splits only, in % of them."""
    highest, lowest = extremes(panel, rows, window=window)
    close = panel.split_close[-rows:]
    return 100 * (close / highest - 1), 100 * (close / lowest - 1)


def gap(panel: Panel, rows: int) -> Outputs:
    """Open over the close before, in %."""
    before = rolling.lagged(panel.close, 1, rows)
    return (100 * ratio(panel.open[-rows:] - before, before),)


def staleness(panel: Panel, rows: int, *, lookback: int) -> Outputs:
    """How many bars in a row, at most `lookback`, closed where the bar before them did (NaN where a
    bar without a close ends them); and the days between the last bar and the one before."""
    closes = rolling.reach(panel.raw_close, rows + lookback)
    moves = closes[1:] - closes[:-1]
    same, unknown = moves == 0, np.isnan(moves)
    numbers = np.arange(panel.rows - len(same), panel.rows)[:, np.newaxis]
    same &= numbers > panel.starts
    run = np.zeros((rows, panel.assets))
    still = np.ones((rows, panel.assets), dtype=np.bool_)
    for ago in range(lookback):
        at = slice(len(same) - ago - rows, len(same) - ago)
        run[still & unknown[at]] = np.nan
        still &= same[at]
        run += still
    if panel.dates is None:
        return run, np.full_like(run, np.nan)
    days = panel.dates[-(rows + 1) :].astype(np.float64)
    return run, days[-rows:] - rolling.lagged(days, 1, rows)
