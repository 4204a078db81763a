"""Core: stored rows of a sample held against what the judge computes of their assets' bars."""

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.bars import Benchmark
from screener_analyzer.binary import Days
from screener_analyzer.spec import Adjusted

TOLERANCE = 1e-6
"""The largest deviation of a row from the judge's, relative, that is stored."""
MESSAGE_LENGTH = 512


@dataclass(frozen=True, eq=False, slots=True)
class Sampled:
    """A row read back, and its asset's bars."""

    ticker: str
    day: dt.date
    values: dict[str, float | None]
    dates: Days
    """Of its bars, all that are stored up to its day."""
    bars: NDArray[np.float64]
    """(bars, open high low close adj_close volume)."""
    splits: NDArray[np.float64]
    """As `Bars.splits`."""
    benchmark: Benchmark | None = None
    """Its exchange's, since the first of its bars; None: it has none."""
    minor_units: float | None = None
    """How many of the unit of its prices make one of its currency; None: not known."""


class Mismatch(Exception):
    """A stored row is not what the judge computes. `deviation` is the largest found."""

    def __init__(self, message: str, deviation: float) -> None:
        super().__init__(message, deviation)
        self.message = message
        self.deviation = deviation


Verify = Callable[[Sequence[Sampled], Adjusted], float]
"""As `verified`."""


def verified(sample: Sequence[Sampled], adjusted: Adjusted) -> float:
    """The largest deviation of the sampled rows from what the judge computes.

    Raises Mismatch where one is over TOLERANCE.
    """
    from screener_analyzer import judge  # brings pandas and ta, which the program does without

    largest = 0.0
    for row in sample:
        history = judge.History.of(
            row.bars,
            row.splits,
            row.dates,
            adjusted=adjusted,
            benchmark=row.benchmark,
            minor_units=math.nan if row.minor_units is None else row.minor_units,
        )
        right = judge.judged(history, row.values)
        found = judge.deviations(row.values, right, history)
        worst = max(found.values(), default=0.0)
        if worst > TOLERANCE:
            columns = ", ".join(
                f"{column} is {row.values[column]}, should be {right[column]}"
                for column, deviation in found.items()
                if deviation > TOLERANCE
            )
            text = f"indicators of {row.ticker} on {row.day} differ: {columns}"
            raise Mismatch(text[:MESSAGE_LENGTH], worst)
        largest = max(largest, worst)
    return largest
