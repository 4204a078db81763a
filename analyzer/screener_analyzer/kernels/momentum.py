"""Core: kernels of momentum."""

from screener_analyzer import rolling
from screener_analyzer.carry import Rsi, carried
from screener_analyzer.kernels.shared import ratio
from screener_analyzer.panel import Outputs, Panel


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
    reach = min(rows + smooth - 1, panel.rows)
    (strength,) = carried(panel, Rsi(window), reach + window - 1)
    lowest = rolling.minimum(strength, window, reach)
    highest = rolling.maximum(strength, window, reach)
    stands = ratio(strength[-reach:] - lowest, highest - lowest)
    return (rolling.mean(stands, smooth, rows),)
