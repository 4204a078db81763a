"""Core: stored bars -> one adjusted series.

Never reads or repairs: what is not finite stays so, and the indicators that reach it become NULL.
"""

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd


class Bar(NamedTuple):
    """One day as stored: open to close raw, in the listing's unit; adj_close for splits and
    dividends; volume for splits."""

    date: dt.date
    open: float
    high: float
    low: float
    close: float
    adj_close: float
    volume: int


def adjusted(bars: Sequence[Bar]) -> pd.DataFrame:
    """One row a bar, oldest first, on a RangeIndex, float64: open, high, low, close, volume,
    raw_high, raw_low, raw_close.

    open to close are the raw ones times adj_close / close of their day. All four are multiplied, so
    that a bar without range has none afterwards, which it would not keep if adj_close itself stood
    beside a product. volume is the stored one, which is adjusted for splits already; raw_high to
    raw_close are stored ones. Raises ValueError unless the dates ascend.
    """
    for earlier, later in pairwise(bars):
        if earlier.date >= later.date:
            raise ValueError(f"bars must ascend by date: {later.date} follows {earlier.date}")
    stored = np.array([bar[1:] for bar in bars], dtype=np.float64).reshape(len(bars), 6)
    close = stored[:, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = stored[:, 4] / close
        prices = stored[:, :4] * factor[:, np.newaxis]
    frame = pd.DataFrame(prices, columns=["open", "high", "low", "close"])
    frame["volume"] = stored[:, 5]
    for name, n in (("raw_high", 1), ("raw_low", 2), ("raw_close", 3)):
        frame[name] = stored[:, n]
    return frame
