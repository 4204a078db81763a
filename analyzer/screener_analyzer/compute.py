"""Core: one asset's adjusted series -> the values of its last bar.

Never guesses: None is the answer where there is too little history, where a bar in an indicator's
reach is not finite, and where the value is not defined (a flat window).
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from screener_analyzer.registry import REGISTRY, Indicator


def compute(
    series: pd.DataFrame, indicators: Iterable[Indicator] = REGISTRY
) -> dict[str, float | None]:
    """One entry a column of `indicators`, of the last row of `series` (`series.adjusted`): a finite
    number, or None."""
    values: dict[str, float | None] = {}
    for indicator in indicators:
        values |= dict.fromkeys(output.column for output in indicator.outputs)
        if len(series) < indicator.window or indicator.compute is None:
            continue
        bars = _in_reach(series, indicator)
        if not np.isfinite(bars.to_numpy()).all():
            continue
        for output, value in zip(indicator.outputs, indicator.values(bars), strict=True):
            if len(series) >= output.minimum_bars and math.isfinite(value):
                values[output.column] = float(value)
    return values


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


def _in_reach(series: pd.DataFrame, indicator: Indicator) -> pd.DataFrame:
    columns = list(indicator.inputs)
    if indicator.reach is None or indicator.reach >= len(series):
        return series[columns]
    return series[columns].iloc[-indicator.reach :].reset_index(drop=True)


def _equal(one: float | None, other: float | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
