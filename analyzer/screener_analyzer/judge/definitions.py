"""Core: the columns that `ta` has no class for, by numpy from their definitions.

Each function takes one asset's bars and returns one number a column, of the last bar. NaN: it is
not defined there. UNDECIDED: which of two answers is right lies below what arithmetic can tell.
"""

import calendar
import datetime as dt
import math
from enum import Enum

import numpy as np
import pandas as pd

from screener_analyzer.judge.history import History, Series
from screener_analyzer.judge.lines import Lines
from screener_analyzer.reference import Ta


class Undecided(Enum):
    """An answer that any other agrees with."""

    UNDECIDED = "undecided"


UNDECIDED = Undecided.UNDECIDED
Value = float | Undecided
Values = tuple[Value, ...]

_FIRST_DAY = dt.date(2000, 1, 1)
_CLEAR = 1e-9
"""Two lines that are nearer to each other, relative to their size, may stand either way."""
_CYCLE_REACH = 60
"""Of an average that halves what was with each bar, nothing is left after so many."""


def volatility(lines: Lines, *, window: int, days: int) -> Values:
    """Sample deviation (ddof 1) of `window` simple returns, for `days` sessions, in %."""
    close = lines.history.close[-(window + 1) :]
    if len(close) <= window:
        return (math.nan,)
    returns = close[1:] / close[:-1] - 1.0
    return (float(np.std(returns, ddof=1)) * math.sqrt(days) * 100.0,)


def deviation(lines: Lines, *, window: int) -> Values:
    """Population deviation (ddof 0) of the closes."""
    close = lines.history.close[-window:]
    # Measured from the last close, a flat window is exactly 0.
    return (float(np.std(close - close[-1])),)


def slope(lines: Lines, *, window: int) -> Values:
    """Least-squares slope of the closes, a bar."""
    close = lines.history.close[-window:]
    if len(close) < window:
        return (math.nan,)
    steps = np.arange(window) - (window - 1) / 2.0
    return (float(np.dot(steps, close - close[-1]) / np.dot(steps, steps)),)


def average_volume(lines: Lines, *, window: int) -> Values:
    """Mean volume."""
    return (float(np.mean(lines.history.volume[-window:])),)


def raw_close(lines: Lines) -> Values:
    """The last close as it is quoted."""
    return (float(lines.history.raw_close[-1]),)


def beta(lines: Lines, *, window: int, least: int) -> Values:
    """Slope of the returns on the benchmark's, between sessions that both have."""
    history = lines.history
    common = np.isfinite(history.benchmark)
    ours, theirs = (
        history.close[common][-(window + 1) :],
        history.benchmark[common][-(window + 1) :],
    )
    if len(ours) <= least:
        return (math.nan,)
    x, y = theirs[1:] / theirs[:-1] - 1.0, ours[1:] / ours[:-1] - 1.0
    spread = x - x.mean()
    below = float(np.dot(spread, spread))
    return (float(np.dot(spread, y - y.mean())) / below if below > 0 else math.nan,)


def year_range(lines: Lines, *, window: int) -> tuple[float, float]:
    """Highest high, lowest low."""
    history = lines.history
    return float(np.max(history.split_high[-window:])), float(np.min(history.split_low[-window:]))


def year_distances(lines: Lines, *, window: int) -> Values:
    """How far the close is from either, in %."""
    close = float(lines.history.split_close[-1])
    return tuple(_percent(close, extreme) for extreme in year_range(lines, window=window))


def bar_returns(lines: Lines, *, ago: tuple[int, ...]) -> Values:
    """Price return, and total return where `ta` has none, since so many bars ago."""
    history = lines.history
    return tuple(
        _percent(closes[-1], closes[-1 - bars]) if len(closes) > bars else math.nan
        for bars in ago
        for closes in (history.close, history.split_close)
    )


def month_returns(lines: Lines, *, months: tuple[int, ...]) -> Values:
    """Total and price return since the last bar on or before the day so many months earlier; 0
    months: since the year's end before."""
    history = lines.history
    found = []
    for number in months:
        base = _months_before(history, number)
        for closes in (history.close, history.split_close):
            found.append(math.nan if base is None else _percent(closes[-1], closes[base]))
    return tuple(found)


def relative_strength(lines: Lines, *, months: tuple[int, ...]) -> Values:
    """Total return over the benchmark's of the same days, less 1."""
    history = lines.history
    found = []
    for number in months:
        base = _months_before(history, number)
        if base is None:
            found.append(math.nan)
            continue
        own, their = history.close, history.benchmark
        found.append(_percent(own[-1] / own[base], their[-1] / their[base]))
    return tuple(found)


def _months_before(history: History, months: int) -> int | None:
    last = _FIRST_DAY + dt.timedelta(days=int(history.dates[-1]))
    if months:
        year, month = divmod(last.year * 12 + last.month - 1 - months, 12)
        day = min(last.day, calendar.monthrange(year, month + 1)[1])
        wanted = dt.date(year, month + 1, day)
    else:
        wanted = dt.date(last.year - 1, 12, 31)
    base = int(np.searchsorted(history.dates, (wanted - _FIRST_DAY).days, side="right")) - 1
    return None if base < 0 else base


def drawdown(lines: Lines, *, window: int) -> Values:
    """How far the close is below the highest of `window`; the deepest that one was below one before
    it."""
    close = lines.history.close[-window:]
    highest = np.maximum.accumulate(close)
    return _percent(close[-1], highest[-1]), float(np.min(100.0 * (close / highest - 1.0)))


def gap(lines: Lines) -> Values:
    """Open over the close before."""
    history = lines.history
    return (_percent(history.open[-1], history.close[-2]) if len(history) > 1 else math.nan,)


def mean_crossings(lines: Lines, *, fast: int, slow: int, lookback: int) -> Values:
    """Bars since the mean of `fast` closes rose above, and fell below, that of `slow`."""
    close = lines.history.close
    bars = min(lookback + 1, len(close) - slow + 1)
    ends = range(len(close) - bars + 1, len(close) + 1)
    above = np.array(
        [float(np.mean(close[end - fast : end]) - np.mean(close[end - slow : end])) for end in ends]
    )
    return _crossings(above, float(np.max(np.abs(close[-slow:]))), lookback)


def macd_crossings(lines: Lines, *, lookback: int) -> Values:
    """Bars since MACD rose above, and fell below, its signal line."""
    above = lines.line(Ta("trend", "MACD", "macd_diff"), 0)[-(lookback + 1) :]
    return _crossings(above, float(lines.history.close[-1]), lookback)


def cycle_is_rounding(close: Series) -> bool:
    """Whether in reach of the last bar there is one where Schaff's cycle is a ratio of differences
    below what arithmetic can tell, as a while after the last move of a close: which bars count as
    gaps is then up to the last bit."""
    closes = pd.Series(close)
    fast, slow = (closes.ewm(span=span, adjust=False).mean() for span in (23, 50))
    line = fast - slow
    for size in (float(closes.iloc[-1]), 100.0):
        low, high = line.rolling(10).min(), line.rolling(10).max()
        if bool(((high - low).iloc[-_CYCLE_REACH:] <= _CLEAR * size).any()):
            return True
        line = (100 * (line - low) / (high - low)).ewm(span=3, adjust=False).mean()
    return False


def strength_crossings(lines: Lines, *, low: float, high: float, lookback: int) -> Values:
    """Bars since the RSI rose above `low`, and fell below `high`."""
    strength = lines.line(Ta("momentum", "RSIIndicator", "rsi"), 0)[-(lookback + 1) :].copy()
    close = lines.history.close
    # What no close has changed so far has no strength.
    moved = len(close) if (close == close[:1]).all() else int(np.argmax(close != close[0]))
    begin = len(close) - len(strength)
    strength[: max(0, moved - begin)] = np.nan
    return (
        _crossings(strength - low, 100.0, lookback)[0],
        _crossings(high - strength, 100.0, lookback)[0],
    )


def _crossings(above: Series, size: float, lookback: int) -> Values:
    return _bars_since_rise(above, size, lookback), _bars_since_rise(-above, size, lookback)


def _bars_since_rise(above: Series, size: float, lookback: int) -> Value:
    """NaN where it was not within `lookback` bars, or one of them is not known."""
    for ago in range(min(lookback, len(above) - 1)):
        before, now = above[-2 - ago], above[-1 - ago]
        if math.isnan(before) or math.isnan(now):
            return math.nan
        if min(abs(before), abs(now)) <= _CLEAR * size and not (before == now == 0.0):
            return UNDECIDED
        if now > 0.0 >= before:
            return float(ago)
    return math.nan


def traded_value(lines: Lines, *, window: int) -> Values:
    """Mean worth of what was traded, in the currency's major unit."""
    return (float(np.mean(_worth(lines.history, window))),)


def liquidity(lines: Lines, *, window: int) -> Values:
    """Last volume over its mean; how many bars had none; mean size of the return, in % a million
    traded."""
    history = lines.history
    volume = history.volume[-window:]
    mean = float(np.mean(volume))
    relative = float(volume[-1]) / mean if mean else math.nan
    # Of a bar that was set aside it is not known.
    silent = math.nan if np.isnan(volume).any() else float(np.count_nonzero(volume == 0))
    illiquid = math.nan
    if len(history) > window:
        close = history.close[-(window + 1) :]
        worth = _worth(history, window)
        if (worth != 0).all():
            sizes = np.abs(close[1:] / close[:-1] - 1.0)
            illiquid = float(np.mean(sizes * 100.0 * 1e6 / worth))
    return relative, silent, illiquid


def _worth(history: History, window: int) -> Series:
    return history.split_close[-window:] * history.volume[-window:] / history.minor_units


def staleness(lines: Lines, *, lookback: int) -> Values:
    """How many bars in a row closed where the one before did; days since the bar before."""
    dates = lines.history.dates
    moves = np.diff(lines.history.raw_close[-lookback - 1 :])[::-1]
    ended = np.append(moves, 1.0) != 0
    run = int(ended.argmax())
    known = run == len(moves) or not math.isnan(moves[run])
    days = float(dates[-1] - dates[-2]) if len(dates) > 1 else math.nan
    return float(run) if known else math.nan, days


def _percent(now: float, before: float) -> float:
    return 100.0 * (now / before - 1.0) if before else math.nan
