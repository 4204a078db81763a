"""Core: kernels of momentum."""

import numpy as np

from screener_analyzer import rolling
from screener_analyzer.carry import (
    AdaptiveMean,
    PriceOscillator,
    Rsi,
    TrueStrength,
    VolumeOscillator,
    carried,
)
from screener_analyzer.kernels.shared import change, ratio
from screener_analyzer.panel import Matrix, Outputs, Panel


def rsi(panel: Panel, rows: int, *, window: int) -> Outputs:
    """0 to 100; NaN where no close has changed, as there is no gain or loss to compare."""
    return carried(panel, Rsi(window), rows)


def stochastic(panel: Panel, rows: int, *, window: int, smooth: int) -> Outputs:
    """%K: where the close stands between the lowest low and the highest high of `window` bars, 0 to
    100, NaN where they are one; %D: its mean of `smooth`."""
    reach = min(rows + smooth - 1, panel.rows)
    lowest = rolling.minimum(panel.low, window, reach)
    highest = rolling.maximum(panel.high, window, reach)
    k = ratio(100 * (panel.close[-reach:] - lowest), highest - lowest)
    return k[-rows:], rolling.mean(k, smooth, rows)


def stochastic_rsi(panel: Panel, rows: int, *, window: int, smooth: int) -> Outputs:
    """Where the RSI stands in its own range of `window` bars, 0 to 1, mean of `smooth`; NaN where
    the RSI did not move."""
    stands = _strength_stands(panel, min(rows + smooth - 1, panel.rows), window)
    return (rolling.mean(stands, smooth, rows),)


def stochastic_rsi_lines(panel: Panel, rows: int, *, window: int, smooth: int) -> Outputs:
    """The same unsmoothed, and its mean of `smooth` twice over."""
    stands = _strength_stands(panel, min(rows + 2 * (smooth - 1), panel.rows), window)
    once = rolling.mean(stands, smooth, min(rows + smooth - 1, panel.rows))
    return stands[-rows:], rolling.mean(once, smooth, rows)


def _strength_stands(panel: Panel, rows: int, window: int) -> Matrix:
    (strength,) = carried(panel, Rsi(window), rows + window - 1)
    lowest = rolling.minimum(strength, window, rows)
    highest = rolling.maximum(strength, window, rows)
    # Of closes that do not change the strength does not either, but its last digits do.
    moved = rolling.maximum(panel.close, window, rows) > rolling.minimum(panel.close, window, rows)
    return ratio(strength[-rows:] - lowest, np.where(moved, highest - lowest, 0.0))


def true_strength(panel: Panel, rows: int, *, slow: int, fast: int) -> Outputs:
    """Twice smoothed change of the close over twice smoothed size of it, -100 to 100."""
    moves, sizes = carried(panel, TrueStrength(slow, fast), rows)
    return (100 * ratio(moves, sizes),)


def ultimate(panel: Panel, rows: int, *, windows: tuple[int, int, int]) -> Outputs:
    """Buying pressure over true range of three windows, weighed 4, 2 and 1; 0 to 100."""
    longest = max(windows)
    high, low, close = (m[-(rows + longest) :] for m in (panel.high, panel.low, panel.close))
    bottom = np.minimum(low[1:], close[:-1])
    ranges = np.maximum(high[1:], close[:-1]) - bottom
    pressure = close[1:] - bottom
    shares = [
        ratio(rolling.total(pressure, w, rows), rolling.total(ranges, w, rows)) for w in windows
    ]
    return (100.0 * (4.0 * shares[0] + 2.0 * shares[1] + shares[2]) / 7.0,)


def adaptive_mean(panel: Panel, rows: int, *, window: int, fast: int, slow: int) -> Outputs:
    """Kaufman's adaptive mean of the closes."""
    return carried(panel, AdaptiveMean(window, fast, slow), rows)


def rate_of_change(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Change of the close since `window` bars before, in %."""
    return (100 * change(panel.close, window, rows),)


def awesome(panel: Panel, rows: int, *, fast: int, slow: int) -> Outputs:
    """Mean of `fast` less mean of `slow` middles of the bars."""
    middle = 0.5 * (panel.high[-(rows + slow) :] + panel.low[-(rows + slow) :])
    return (rolling.mean(middle, fast, rows) - rolling.mean(middle, slow, rows),)


def williams(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Distance of the close from the highest high in the range of `window` bars, -100 to 0."""
    highest = rolling.maximum(panel.high, window, rows)
    lowest = rolling.minimum(panel.low, window, rows)
    return (ratio(-100 * (highest - panel.close[-rows:]), highest - lowest),)


def price_oscillator(panel: Panel, rows: int, *, fast: int, slow: int, signal: int) -> Outputs:
    """MACD in % of the slow mean, its signal line, and the difference."""
    line, average = carried(panel, PriceOscillator(fast, slow, signal), rows)
    return line, average, line - average


def volume_oscillator(panel: Panel, rows: int, *, fast: int, slow: int, signal: int) -> Outputs:
    """The same of the volume."""
    line, average = carried(panel, VolumeOscillator(fast, slow, signal), rows)
    return line, average, line - average
