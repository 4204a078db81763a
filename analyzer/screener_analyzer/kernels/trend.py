"""Core: kernels of the trend."""

import numpy as np

from screener_analyzer import rolling
from screener_analyzer.carry import (
    DirectionalMovement,
    Ema,
    Macd,
    ParabolicSar,
    RangeShare,
    Rsi,
    Schaff,
    TripleEma,
    carried,
)
from screener_analyzer.kernels.shared import bars_since_rise, change, clear, ratio, typical_price
from screener_analyzer.panel import Outputs, Panel


def sma(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Mean of the last `window` closes."""
    return (rolling.mean(panel.close, window, rows),)


def ema(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Exponential mean of the closes, alpha = 2 / (window + 1), beginning at the first close."""
    return carried(panel, Ema(window), rows)


def wma(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Mean of the last `window` closes, the newest weighing `window`, the oldest 1."""
    return (rolling.weighted_mean(panel.close, window, rows),)


def slope(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Least-squares slope of `window` closes, in price a bar."""
    return (rolling.slope(panel.close, window, rows),)


def macd(panel: Panel, rows: int, *, fast: int, slow: int, signal: int) -> Outputs:
    """Fast less slow exponential mean of the closes, that line's own exponential mean of `signal`
    from its bar number `slow` on, and the difference of the two."""
    line, average = carried(panel, Macd(fast, slow, signal), rows)
    return line, average, line - average


def cci(panel: Panel, rows: int, *, window: int, constant: float) -> Outputs:
    """Distance of the typical price from its mean, in `constant` x its mean deviation; NaN in a
    flat window."""
    prices = typical_price(panel, rows + window - 1)
    distance, spread = rolling.mean_deviation(prices, window, rows)
    return (ratio(distance, constant * spread),)


def directional_movement(panel: Panel, rows: int, *, window: int) -> Outputs:
    """+DI, -DI and ADX, 0 to 100, by Wilder; NaN where no bar had a range."""
    return carried(panel, DirectionalMovement(window), rows)


def parabolic_sar(panel: Panel, rows: int, *, step: float, max_step: float) -> Outputs:
    """Wilder's stop-and-reverse price."""
    return carried(panel, ParabolicSar(step, max_step), rows)


def aroon(panel: Panel, rows: int, *, window: int) -> Outputs:
    """How lately the highest high and the lowest low of `window` + 1 bars were, 100 for now and 0
    for `window` bars ago, and the difference; the oldest of equal extremes counts."""
    up, down = (
        100 * (window - rolling.rows_since_maximum(matrix, window + 1, rows)) / window
        for matrix in (panel.high, -panel.low[-(rows + window) :])
    )
    return up, down, up - down


def vortex(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Sums of `window` upward and downward moves between the bars' ends, in true ranges, and the
    difference."""
    high, low, close = (m[-(rows + window) :] for m in (panel.high, panel.low, panel.close))
    reach = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
    ranges = rolling.total(reach, window, rows)
    plus = ratio(rolling.total(np.abs(high[1:] - low[:-1]), window, rows), ranges)
    minus = ratio(rolling.total(np.abs(low[1:] - high[:-1]), window, rows), ranges)
    return plus, minus, plus - minus


def trix(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Change of a threefold exponential mean of the closes since the bar before, in %."""
    (mean,) = carried(panel, TripleEma(window), rows + 1)
    return (100 * change(mean, 1, rows),)


def mass_index(panel: Panel, rows: int, *, fast: int, slow: int) -> Outputs:
    """Sum of `slow` ratios of an exponential mean of the range to its own exponential mean."""
    (share,) = carried(panel, RangeShare(fast), rows + slow - 1)
    return (rolling.total(share, slow, rows),)


def ichimoku(panel: Panel, rows: int, *, short: int, middle: int, long: int) -> Outputs:
    """Middles of the range of `short`, `middle` and `long` bars: conversion line, base line, their
    mean (span A), and span B; not shifted ahead."""
    conversion, base, span_b = (
        0.5 * (rolling.maximum(panel.high, w, rows) + rolling.minimum(panel.low, w, rows))
        for w in (short, middle, long)
    )
    return conversion, base, 0.5 * (conversion + base), span_b


def know_sure_thing(
    panel: Panel,
    rows: int,
    *,
    changes: tuple[int, ...],
    windows: tuple[int, ...],
    signal: int,
) -> Outputs:
    """Weighted sum of smoothed changes of the close, in %, its mean of `signal`, the difference."""
    reach = min(rows + signal - 1, panel.rows)
    total = np.zeros((reach, panel.assets))
    for weight, (ago, window) in enumerate(zip(changes, windows, strict=True), start=1):
        changed = change(panel.close, ago, min(reach + window - 1, panel.rows))
        total += weight * rolling.mean(changed, window, reach)
    total *= 100
    average = rolling.mean(total, signal, rows)
    return total[-rows:], average, total[-rows:] - average


def detrended(panel: Panel, rows: int, *, window: int) -> Outputs:
    """The close of `window` / 2 + 1 bars ago less the mean of `window` closes."""
    ago = int(0.5 * window + 1)
    before = rolling.lagged(panel.close, ago, rows)
    return (before - rolling.mean(panel.close, window, rows),)


def schaff(panel: Panel, rows: int, *, fast: int, slow: int, cycle: int, smooth: int) -> Outputs:
    """Where MACD stands in its range of `cycle` bars, smoothed, and that once more; 0 to 100."""
    return carried(panel, Schaff(fast, slow, cycle, smooth), rows)


def mean_crossings(panel: Panel, rows: int, *, fast: int, slow: int, lookback: int) -> Outputs:
    """How many bars ago the mean of `fast` closes rose above that of `slow` (0: at the last bar),
    and how many ago it fell below; NaN where it did not within `lookback` bars."""
    reach = min(rows + lookback, panel.rows)
    mean = rolling.mean(panel.close, slow, reach)
    above = clear(rolling.mean(panel.close, fast, reach) - mean, mean)
    return bars_since_rise(above, lookback, rows), bars_since_rise(-above, lookback, rows)


def macd_crossings(
    panel: Panel, rows: int, *, fast: int, slow: int, signal: int, lookback: int
) -> Outputs:
    """The same of MACD and its signal line."""
    reach = min(rows + lookback, panel.rows)
    line, average = carried(panel, Macd(fast, slow, signal), reach)
    above = clear(line - average, panel.close[-reach:])
    # Before it has begun a signal line is no line.
    first = slow + signal - 2
    numbers = np.arange(panel.rows - reach, panel.rows)[:, np.newaxis]
    above[numbers < panel.starts + first] = np.nan
    return bars_since_rise(above, lookback, rows), bars_since_rise(-above, lookback, rows)


def rsi_crossings(
    panel: Panel, rows: int, *, window: int, low: float, high: float, lookback: int
) -> Outputs:
    """How many bars ago the RSI rose above `low` out of the oversold, and fell below `high` out of
    the overbought."""
    reach = min(rows + lookback, panel.rows)
    (strength,) = carried(panel, Rsi(window), reach)
    numbers = np.arange(panel.rows - reach, panel.rows)[:, np.newaxis]
    strength = np.where(numbers < panel.starts + window - 1, np.nan, strength)
    return (
        bars_since_rise(strength - low, lookback, rows),
        bars_since_rise(high - strength, lookback, rows),
    )
