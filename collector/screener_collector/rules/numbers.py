"""Core: what the decimals served leave open, and what is usual for a series. No I/O, no clock."""

import math

import numpy as np

from screener_collector.rules.model import Counts, Floats, Indexes, Mask

_DECIMALS = (2, 4, 6)
_UNROUNDED = 1e-7
"""Relative error of numbers with more decimals: they went through single precision somewhere."""


def steps(values: Floats) -> Floats:
    """From each value to the next."""
    found: Floats = values[1:] - values[:-1]
    return found


def half_units(values: Floats) -> Floats:
    """By how much each may be off: half a unit in the last place that the column is served with."""
    for decimals in _DECIMALS:
        scaled = values * 10.0**decimals
        # The rest is what binary fractions leave of a decimal one.
        if np.abs(scaled - np.rint(scaled)).max() <= 1e-9 * scaled.max() + 1e-9:
            return np.full(len(values), 0.5 * 10.0**-decimals)
    return values * _UNROUNDED


def quantile(values: Floats, share: float) -> float:
    """The value that `share` of them do not exceed; 0 without values."""
    if not len(values):
        return 0.0
    place = min(len(values) - 1, int(share * len(values)))
    return float(np.partition(values, place)[place])


def usual_move(values: Floats) -> float:
    """What nineteen of twenty of the logarithmic moves do not exceed."""
    return quantile(np.abs(values), 0.95)


def traded_share(volume: Counts) -> float:
    """Share of bars with volume."""
    return float(np.count_nonzero(volume)) / max(1, len(volume))


def volume_step(volume: Counts, at: int, bars: int = 20) -> float:
    """The volume at a bar over the median of those before; infinite where they have none."""
    before = volume[max(0, at - bars) : at]
    usual = float(np.median(before)) if len(before) else 0.0
    now = float(volume[at])
    return now / usual if usual > 0 else math.inf if now > 0 else 0.0


def runs(mask: Mask) -> list[tuple[int, int]]:
    """First and last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.view(np.int8), [0]))))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def between(indexes: Indexes, first: int, last: int) -> Indexes:
    """Those from `first` to `last`."""
    return indexes[(indexes >= first) & (indexes <= last)]
