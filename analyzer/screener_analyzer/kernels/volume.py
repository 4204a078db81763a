"""Core: kernels of volume."""

import numpy as np

from screener_analyzer import rolling
from screener_analyzer.carry import Flows, Force, carried
from screener_analyzer.kernels.shared import change, ratio, typical_price
from screener_analyzer.panel import Outputs, Panel


def average_volume(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Mean volume of `window` bars, in shares; 0 where none was traded."""
    return (rolling.mean(panel.volume, window, rows),)


def flows(panel: Panel, rows: int) -> Outputs:
    """On-balance volume, accumulation/distribution, volume-price trend, negative volume index."""
    return carried(panel, Flows(), rows)[:4]


def cumulative_return(panel: Panel, rows: int) -> Outputs:
    """Change of the close since the first stored one, in %."""
    first = carried(panel, Flows(), rows)[4]
    return (100 * (panel.close[-rows:] / first - 1),)


def money_flow(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Sum of volume times where the close stands in its bar (-1 to 1), over the volume; a bar
    without range counts 0; NaN where none was traded."""
    high, low, close, volume = (
        m[-(rows + window) :] for m in (panel.high, panel.low, panel.close, panel.volume)
    )
    width = high - low
    place = ((close - low) - (high - close)) / width
    place[(width == 0) & (close == low)] = 0.0
    place *= volume
    return (ratio(rolling.total(place, window, rows), rolling.total(volume, window, rows)),)


def force(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Exponential mean of the change of the close times the volume."""
    return carried(panel, Force(window), rows)


def ease_of_movement(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Move of the bar's middle times its range, over the volume, times 1e8; and its mean; NaN where
    none was traded."""
    reach = min(rows + window, panel.rows)
    high, low, volume = (m[-reach:] for m in (panel.high, panel.low, panel.volume))
    moved = (high[1:] - high[:-1]) + (low[1:] - low[:-1])
    ease = ratio(moved * (high[1:] - low[1:]), 2 * volume[1:]) * 100000000
    ease = np.concatenate([np.full((1, panel.assets), np.nan), ease])
    return ease[-rows:], rolling.mean(ease, window, rows)


def money_flow_index(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Money that came with a higher typical price against money that came with a lower one, 0 to
    100; NaN where there was neither."""
    prices = rolling.reach(typical_price(panel, rows + window), rows + window)
    moves = np.sign(prices[1:] - prices[:-1])
    flow = prices[1:] * rolling.reach(panel.volume, rows + window)[1:] * moves
    up = rolling.total(np.maximum(flow, 0.0), window, rows)
    down = rolling.total(np.maximum(-flow, 0.0), window, rows)
    return (100 - 100 / (1 + up / down),)


def weighted_price(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Typical price of `window` bars weighed by volume; NaN where none was traded."""
    volume = panel.volume[-(rows + window) :]
    worth = typical_price(panel, len(volume)) * volume
    return (ratio(rolling.total(worth, window, rows), rolling.total(volume, window, rows)),)


def traded_value(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Mean of close times volume of `window` bars, in the currency's major unit."""
    worth = panel.split_close[-(rows + window) :] * panel.volume[-(rows + window) :]
    if panel.minor_units is not None:
        worth /= panel.minor_units
    return (rolling.mean(worth, window, rows),)


def liquidity(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Last volume over the mean of `window`; how many of `window` bars had none; mean of the size
    of the return, in %, a million of the currency traded."""
    volume = panel.volume[-(rows + window) :]
    relative = ratio(volume[-rows:], rolling.mean(volume, window, rows))
    # Of a bar that was set aside it is not known.
    silent = rolling.total(np.where(np.isnan(volume), np.nan, volume == 0), window, rows)
    worth = panel.split_close[-len(volume) :] * volume
    if panel.minor_units is not None:
        worth /= panel.minor_units
    moves = np.abs(change(panel.close, 1, len(volume)))
    moved = rolling.mean(ratio(moves * 100 * 1e6, worth), window, rows)
    return relative, silent, moved
