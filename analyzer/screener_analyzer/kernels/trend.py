"""Core: kernels of the trend."""

from screener_analyzer import rolling
from screener_analyzer.carry import DirectionalMovement, Ema, Macd, ParabolicSar, carried
from screener_analyzer.kernels.shared import ratio, typical_price
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
