"""Core: kernels of volume."""

from screener_analyzer import rolling
from screener_analyzer.panel import Outputs, Panel


def average_volume(panel: Panel, rows: int, *, window: int) -> Outputs:
    """Mean volume of `window` bars, in shares; 0 where none was traded."""
    return (rolling.mean(panel.volume, window, rows),)
