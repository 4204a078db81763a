"""Core: one asset's adjusted series -> the values of its last bar.

Never guesses: None is the answer where there is too little history, where a bar in an indicator's
reach is not finite, and where the value is not defined (a flat window).
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from screener_analyzer import engine
from screener_analyzer.panel import Matrix, Panel
from screener_analyzer.registry import REGISTRY, Indicator


def compute(
    series: pd.DataFrame, indicators: Iterable[Indicator] = REGISTRY
) -> dict[str, float | None]:
    """One entry a column of `indicators`, of the last row of `series` (`series.adjusted`): a finite
    number, or None."""
    indicators = tuple(indicators)
    columns = [output.column for indicator in indicators for output in indicator.outputs]
    if not len(series):
        return dict.fromkeys(columns)

    def matrix(name: str) -> Matrix:
        return np.ascontiguousarray(series[name].to_numpy(dtype=np.float64)[:, np.newaxis])

    alone = Panel(
        open=matrix("open"),
        high=matrix("high"),
        low=matrix("low"),
        close=matrix("close"),
        volume=matrix("volume"),
        raw_close=matrix("raw_close"),
        split_high=matrix("raw_high"),
        split_low=matrix("raw_low"),
        split_close=matrix("raw_close"),
        starts=np.zeros(1, dtype=np.intp),
    )
    computed = engine.compute(alone, indicators)
    return {
        column: None if math.isnan(values[0, 0]) else float(values[0, 0])
        for column, values in computed.items()
    }


def differences(
    stored: Mapping[str, float | None],
    computed: Mapping[str, float | None],
    tolerance: float = 1e-9,
) -> dict[str, tuple[float | None, float | None]]:
    """The columns that differ, as (stored, computed); NULL equals only NULL.

    `tolerance` is relative above 1 and absolute below: a worker on another kind of processor may
    have rounded a last bit otherwise.
    """
    return {
        column: (stored.get(column), value)
        for column, value in computed.items()
        if not _equal(stored.get(column), value, tolerance)
    }


def _equal(one: float | None, other: float | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
