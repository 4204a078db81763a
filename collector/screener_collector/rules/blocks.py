"""Core: stretches of a series that are copies of other ones. No I/O, no clock."""

import numpy as np

from screener_collector.rules.model import Finding, Floats, Indexes, Parameters, Series

BLOCK_REPEATED = "block_repeated"
_TWICE = 2
"""A bar that a series has more often is its usual one, and witnesses nothing."""


def judge_blocks(bars: Series, adjusted_moves: Floats, parameters: Parameters) -> list[Finding]:
    """Findings of `block_repeated`: bars on end with the prices and volumes of as many others.

    The copy is the one where prices leap clearly farther as it meets its neighbours; where neither
    stands out, neither is believed.
    """
    least = int(parameters.value(BLOCK_REPEATED, "bars"))
    clearly = parameters.value(BLOCK_REPEATED, "leap")
    earlier, later = _pairs(bars, least)
    if len(later) < least:
        return []
    # A stretch goes on while both sides go on by one bar.
    breaks = np.flatnonzero((np.diff(later) != 1) | (np.diff(earlier) != 1)) + 1
    starts = np.concatenate(([0], breaks))
    ends = np.concatenate((breaks, [len(later)])) - 1
    found = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if end - start + 1 < least:
            continue
        sides = [(int(side[start]), int(side[end])) for side in (earlier, later)]
        # Where one follows the other, both leap there.
        apart = sides[0][1] + 1 < sides[1][0]
        leaps = [
            _leap(adjusted_moves, sides[0][0] - 1, sides[0][1] if apart else None),
            _leap(adjusted_moves, sides[1][0] - 1 if apart else None, sides[1][1]),
        ]
        for copy, leap, original, other in zip(sides, leaps, sides[::-1], leaps[::-1], strict=True):
            # The original is where prices clearly leap less.
            if leap * clearly >= other:
                found.append(_finding(bars, copy, original, parameters))
    return found


def _finding(
    bars: Series, copy: tuple[int, int], original: tuple[int, int], parameters: Parameters
) -> Finding:
    first, last = copy
    count = last - first + 1
    return Finding(
        BLOCK_REPEATED,
        parameters.severity(BLOCK_REPEATED),
        bars.dates[first].item(),
        bars.dates[last].item(),
        float(count),
        0.0,
        f"{count} bars on end are exactly those from {bars.dates[original[0]]}"
        f" to {bars.dates[original[1]]}, volume included",
        np.arange(first, last + 1),
    )


def _pairs(bars: Series, least: int) -> tuple[Indexes, Indexes]:
    """Bars with volume and a range that are there twice: the earlier and the later, in order."""
    none = np.empty(0, np.intp)
    # Few volumes are there twice, so the rest is looked at for few bars, and in few series.
    volume = np.sort(bars.volume)
    same = (volume[1:] == volume[:-1]) & (volume[1:] > 0)
    if np.count_nonzero(same) < least:
        return none, none
    order = np.argsort(bars.volume, kind="stable")
    alike = np.concatenate(([False], same)) | np.concatenate((same, [False]))
    places = order[alike]
    places = places[bars.high[places] > bars.low[places]]
    if len(places) < _TWICE * least:
        return none, none
    rows = np.column_stack(
        (
            bars.volume[places].astype(np.float64),
            bars.close[places],
            bars.open[places],
            bars.high[places],
            bars.low[places],
        )
    )
    by_row = np.lexsort((places, *rows.T[::-1]))
    rows, places = rows[by_row], places[by_row]
    first = np.flatnonzero(np.concatenate(([True], (rows[1:] != rows[:-1]).any(axis=1))))
    twice = first[np.diff(np.concatenate((first, [len(rows)]))) == _TWICE]
    earlier, later = places[twice], places[twice + 1]
    in_order = np.argsort(later)
    return earlier[in_order], later[in_order]


def _leap(moves: Floats, *places: int | None) -> float:
    """How far prices move there at the farthest, of what is in the series."""
    edges = [at for at in places if at is not None and 0 <= at < len(moves)]
    return float(np.abs(moves[edges]).max()) if edges else 0.0
