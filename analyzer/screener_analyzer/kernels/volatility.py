"""Core: kernels of volatility."""

import math

from screener_analyzer import rolling
from screener_analyzer.carry import AverageTrueRange, carried
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
