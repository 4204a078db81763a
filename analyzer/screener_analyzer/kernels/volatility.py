"""Core: kernels of volatility."""

import math

import numpy as np

from screener_analyzer import rolling
from screener_analyzer.carry import AverageTrueRange, carried
from screener_analyzer.kernels.shared import ratio
from screener_analyzer.panel import Outputs, Panel

TRADING_DAYS_A_YEAR = 252


def average_true_range(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Wilder's mean of the true range, in the unit of the price."""
    return carried(panel, AverageTrueRange(window), rows)


def volatility(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Sample deviation (ddof 1) of `window` simple daily returns, a year, in %."""
    reach = panel.close[-(rows + window) :]
    returns = reach[1:] / reach[:-1] - 1.0
    daily = rolling.deviation(returns, window, rows, ddof=1)
    return (daily * (math.sqrt(TRADING_DAYS_A_YEAR) * 100.0),)


def bollinger(panel: Panel, rows: int, *, window: int, deviations: int) -> Outputs:
    """Population deviation (ddof 0) of `window` closes; mean + and - `deviations` of it; the mean;
    the width of the band in % of the mean."""
    deviation = rolling.deviation(panel.close, window, rows, ddof=0)
    middle = rolling.mean(panel.close, window, rows)
    upper, lower = middle + deviations * deviation, middle - deviations * deviation
    return deviation, upper, middle, lower, (upper - lower) / middle * 100


def bollinger_place(panel: Panel, rows: int, *, window: int, deviations: int) -> Outputs:
    """Where the close stands between the lower (0) and the upper band (1); NaN where they are
    one."""
    _, upper, _, lower, _ = bollinger(panel, rows, window=window, deviations=deviations)
    return (ratio(panel.close[-rows:] - lower, upper - lower),)


def keltner(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Means of `window` bars' 4/3 high - 2/3 low + 1/3 close, of their typical price, and of 4/3
    low - 2/3 high + 1/3 close; the width in % of the middle; where the close stands, 0 to 1."""
    high, low, close = (m[-(rows + window) :] for m in (panel.high, panel.low, panel.close))
    upper = rolling.mean((4 * high - 2 * low + close) / 3.0, window, rows)
    middle = rolling.mean((high + low + close) / 3.0, window, rows)
    lower = rolling.mean((-2 * high + 4 * low + close) / 3.0, window, rows)
    width = upper - lower
    return upper, middle, lower, 100 * ratio(width, middle), ratio(close[-rows:] - lower, width)


def donchian(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Highest high, middle and lowest low of `window` bars; the width in % of the mean close; where
    the close stands, 0 to 1."""
    upper = rolling.maximum(panel.high, window, rows)
    lower = rolling.minimum(panel.low, window, rows)
    width = upper - lower
    mean = rolling.mean(panel.close, window, rows)
    place = ratio(panel.close[-rows:] - lower, width)
    return upper, width / 2.0 + lower, lower, 100 * ratio(width, mean), place


def ulcer(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Root of the mean square of the closes' distances, in %, from the highest of their own last
    `window`."""
    # Of a young asset the highest so far: its padding holds its first close.
    closes = rolling.reach(panel.close, rows + 2 * window - 2)
    highest = rolling.maximum(closes, window, rows + window - 1)
    below = 100 * (closes[window - 1 :] - highest) / highest
    return (np.sqrt(rolling.total(below * below / window, window, rows)),)


def drawdown(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Distance of the close from the highest of `window` closes, in %; and the deepest that any of
    them was below one before it."""
    highest = rolling.maximum(panel.close, window, rows)
    now = 100 * (panel.close[-rows:] / highest - 1)
    closes = rolling.reach(panel.close, rows + window - 1)
    peak = closes[:rows].copy()
    deepest = np.ones_like(peak)
    for offset in range(1, window):
        close = closes[offset : offset + rows]
        np.maximum(peak, close, out=peak)
        np.minimum(deepest, close / peak, out=deepest)
    return now, 100 * (deepest - 1)
