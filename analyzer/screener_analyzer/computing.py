"""Core: stored bars of many assets -> rows of technical_indicators."""

import logging

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.binary import Days
from screener_analyzer.engine import compute
from screener_analyzer.panel import Matrix, panel
from screener_analyzer.registry import COLUMNS
from screener_analyzer.rows import Rows

logger = logging.getLogger(__name__)


def rebased(values: Matrix, lengths: NDArray[np.intp]) -> Matrix:
    """The bars with each asset's adj_close such that its last one is its close: as they stood on
    that day, whatever was paid or split since."""
    ends = np.cumsum(lengths) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = values[ends, 3] / values[ends, 4]
    if (factor == 1.0).all():
        return values
    out = values.copy()
    out[:, 4] *= np.repeat(factor, lengths)
    return out


def latest(
    asset_ids: NDArray[np.int32], dates: Days, values: Matrix, lengths: NDArray[np.intp]
) -> tuple[Rows, dict[int, Exception]]:
    """The row of each asset's last bar, and what went wrong, by asset, for those without.

    Assets one after another, each with a bar at least, its oldest first.
    """
    try:
        columns = compute(panel(rebased(values, lengths), lengths.tolist())) if len(lengths) else {}
    except Exception as error:
        if len(lengths) == 1:
            logger.exception("computing failed", extra={"asset_id": int(asset_ids[0])})
            return _none(), {int(asset_ids[0]): error}
        # One of them is at fault: it is found by halving.
        half = len(lengths) // 2
        at = int(lengths[:half].sum())
        first, faults = latest(asset_ids[:half], dates[:at], values[:at], lengths[:half])
        second, more = latest(asset_ids[half:], dates[at:], values[at:], lengths[half:])
        return first.with_more(second), faults | more
    if not columns:
        return _none(), {}
    return (
        Rows(
            asset_ids,
            dates[np.cumsum(lengths) - 1],
            {column: columns[column][-1] for column in COLUMNS},
            lengths.astype(np.int32),
        ),
        {},
    )


def _none() -> Rows:
    return Rows(
        np.zeros(0, dtype=np.int32),
        np.zeros(0, dtype=np.int32),
        {column: np.zeros(0) for column in COLUMNS},
        np.zeros(0, dtype=np.int32),
    )
