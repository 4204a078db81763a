"""Core: prices in another unit than the rest of their series. No I/O, no clock.

A listing in pence that is served in pounds for a while, or in part of a bar, is off by exactly 100.
What the decimals cannot tell apart, and series that jump about anyway, prove nothing.
"""

import math
from dataclasses import dataclass

import numpy as np

from screener_collector.rules.model import Finding, Floats, Indexes, Mask, Parameters, Series
from screener_collector.rules.numbers import half_units, quantile, runs

UNIT_SWITCH, UNITS_MIXED = "unit_switch", "units_mixed"
_FAR = math.log(30)
"""No move of less can be a switch of units."""
_CAUSE_BARS = 5
"""A finding stands at most so many bars from its cause."""


@dataclass(frozen=True, slots=True)
class _Numbers:
    factor: float
    tolerance: float
    back: float
    ticks: float
    noise: float
    settled: int

    @classmethod
    def of(cls, parameters: Parameters) -> "_Numbers":
        def number(name: str) -> float:
            return parameters.value(UNIT_SWITCH, name)

        return cls(
            math.log(number("factor")),
            number("tolerance"),
            number("tolerance_back"),
            number("ticks"),
            number("noise"),
            int(number("settled_bars")),
        )


def judge_units(
    bars: Series, ratios: Floats, moves: Floats, adjusted_moves: Floats, parameters: Parameters
) -> list[Finding]:
    """Findings of `unit_switch` and `units_mixed`.

    `ratios`: by bar the logarithm of what a recorded split made of one share that day, else 0;
    `moves`, `adjusted_moves`: logarithmic moves of the close and the adjusted close into each bar
    but the first.
    """
    wide = bars.high > 30.0 * bars.low
    mixed_possible = bool(wide.any())
    corrected = moves + ratios[1:]
    # An adjusted close that lacks a split of about 100 has not switched units.
    near_split = np.abs(ratios) > _FAR
    adjusted = adjusted_moves
    if near_split.any():
        adjusted = adjusted_moves.copy()
        for at in np.flatnonzero(near_split).tolist():
            adjusted[max(0, at - 1 - 2 * _CAUSE_BARS) : at + 2 * _CAUSE_BARS] = 0.0
            corrected = corrected.copy()
            # Whether it is in the price is for the rules of splits to say.
            corrected[at - 1] = min(corrected[at - 1], moves[at - 1], key=abs)
    if not mixed_possible and not (
        len(moves) and (np.abs(corrected).max() > _FAR or np.abs(adjusted).max() > _FAR)
    ):
        return []
    numbers = _Numbers.of(parameters)
    found: list[Finding] = []
    mixed = np.zeros(len(bars), np.bool_)
    if mixed_possible:
        mixed = _mixed(bars, wide, numbers, parameters)
        found += _mixed_findings(bars, mixed, parameters)
    traded = bars.volume > 0
    close_wrong, close_factor = _wrong(
        corrected, bars.close, traded, ~mixed, numbers, bars.adjusted_close
    )
    adjusted_wrong, adjusted_factor = _wrong(
        adjusted, bars.adjusted_close, traded, ~mixed, numbers, None
    )
    wrong = (close_wrong | adjusted_wrong) & ~mixed
    for first, last in _joined(runs(wrong), len(bars)):
        # What reaches back to the first bar is caused where it ends.
        start = max(first, last - _CAUSE_BARS + 1) if first == 0 else first
        which = np.flatnonzero(wrong[first : last + 1]) + first
        at = int(which[-1] if first == 0 else which[0])
        off = close_factor[at] if close_wrong[at] else adjusted_factor[at]
        columns = "prices" if close_wrong[at] else "adjusted closes"
        found.append(
            Finding(
                UNIT_SWITCH,
                parameters.severity(UNIT_SWITCH),
                bars.dates[start].item(),
                bars.dates[last].item(),
                off,
                1.0,
                f"{columns} of {len(which)} bars are {off:g} times those beside them",
                which,
            )
        )
    return found


def _joined(found: list[tuple[int, int]], bars: int) -> list[tuple[int, int]]:
    """Runs of a series that flips all the time become one where they are within a few bars."""
    if len(found) <= 20:
        return found
    joined = [found[0]]
    for first, last in found[1:]:
        if first - joined[-1][1] <= _CAUSE_BARS:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def _wrong(
    moves: Floats,
    values: Floats,
    traded: Mask,
    usable: Mask,
    numbers: _Numbers,
    beside: Floats | None,
) -> tuple[Mask, Floats]:
    """Which bars are in another unit than the listing's, and by what factor.

    `beside`: the adjusted closes, for closes: where these do not move along to the end, it may have
    been a split that nobody recorded.
    """
    states, certain = _states(moves, values, usable, numbers, beside)
    none = np.zeros(len(values), np.bool_)
    if not certain:
        return none, np.ones(len(values))
    base = _base(states, traded, numbers)
    return states != base, np.exp(numbers.factor * (states - base))


def _states(
    moves: Floats, values: Floats, usable: Mask, numbers: _Numbers, beside: Floats | None
) -> tuple[Indexes, bool]:
    """The unit of each bar as a power of the factor relative to the first; whether any differs."""
    states = np.zeros(len(values), np.intp)
    if not usable.all():
        # Moves over a bar of mixed units are taken from the last usable one to the next.
        places = np.flatnonzero(usable)
        level = np.concatenate(([0.0], np.cumsum(moves)))[places]
        inner, certain = _states(
            np.diff(level), values[places], np.ones(len(places), np.bool_), numbers, None
        )
        states[places] = inner
        return states, certain
    jumps = np.flatnonzero(np.abs(moves) > _FAR)
    if not len(jumps):
        return states, False
    usual = quantile(np.abs(np.delete(moves, jumps)), 0.95)
    if usual > numbers.noise:
        return states, False
    ticks = np.minimum(values[1:], values[:-1])[jumps] / (2.0 * half_units(values)[jumps])
    level = np.concatenate(([0.0], np.cumsum(moves)))
    state = 0
    marks: list[tuple[int, int, float]] = []
    for jump, fine in zip(jumps.tolist(), ticks.tolist(), strict=True):
        move = float(moves[jump])
        power = 1 if move > 0 else -1
        room = numbers.tolerance + 0.5 / max(fine, 1.0)
        exact = abs(abs(move) - numbers.factor) <= room and fine >= numbers.ticks
        # Back to where it was: as far as the old level allows.
        returns = (
            state != 0
            and power == -np.sign(state)
            and abs(level[jump + 1] - marks[-1][2]) <= numbers.back
        )
        if exact or returns:
            marks.append((jump + 1, power, float(level[jump])))
            state += power
    if not marks:
        return states, False
    if beside is not None:
        marks = _without_silent_splits(marks, values, beside, numbers)
    for at, power, _ in marks:
        states[at:] += power
    return states, bool(states.any())


def _without_silent_splits(
    marks: list[tuple[int, int, float]], close: Floats, adjusted: Floats, numbers: _Numbers
) -> list[tuple[int, int, float]]:
    """A jump of closes alone is a switch only where it comes back: else it may be a split.

    Unless it is the newer closes that are off their adjusted ones: a split leaves those equal.
    """
    k = np.log(adjusted / close)
    silent = [abs(k[at] - k[at - 1]) > 0.5 * numbers.factor for at, _, _ in marks]
    if not all(silent) or sum(power for _, power, _ in marks) == 0:
        return marks
    balance = 0
    kept: list[tuple[int, int, float]] = []
    opened: list[tuple[int, int, float]] = []
    for mark in marks:
        balance += mark[1]
        opened.append(mark)
        if balance == 0:
            kept += opened
            opened = []
    at = opened[-1][0] if opened else 0
    if opened and abs(k[-1]) > 0.7 * numbers.factor and abs(k[at - 1]) < 0.3 * numbers.factor:
        kept += opened
    return kept


def _base(states: Indexes, traded: Mask, numbers: _Numbers) -> int:
    """The listing's unit: the newest when it has lasted, else that of most traded bars."""
    changes = np.flatnonzero(np.diff(states))
    newest = int(changes[-1]) + 1 if len(changes) else 0
    if np.count_nonzero(traded[newest:]) >= numbers.settled:
        return int(states[-1])
    kinds = np.unique(states)
    return int(
        max(
            kinds,
            key=lambda kind: (
                np.count_nonzero(traded & (states == kind)),
                np.count_nonzero(states == kind),
                -np.argmax(states == kind),
            ),
        )
    )


def _mixed(bars: Series, wide: Mask, numbers: _Numbers, parameters: Parameters) -> Mask:
    """Bars whose own prices are in two or three units."""
    room = parameters.value(UNITS_MIXED, "tolerance")
    units = half_units(bars.low)
    mixed = np.zeros(len(bars), np.bool_)
    for at in np.flatnonzero(wide).tolist():
        if bars.low[at] < numbers.ticks * 2.0 * units[at]:
            continue
        prices = np.log([bars.open[at], bars.high[at], bars.low[at], bars.close[at]])
        near = [bars.close[place] for place in (at - 1, at + 1) if 0 <= place < len(bars)]
        mixed[at] = _two_groups(prices, numbers.factor, room) or any(
            _multiples(prices, float(np.log(close)), numbers.factor, room) for close in near
        )
    return mixed


def _two_groups(prices: Floats, factor: float, room: float) -> bool:
    """Whether they are two groups, a factor apart, each close together."""
    split = prices > prices.mean()
    upper, lower = prices[split], prices[~split]
    gap = float(upper.mean() - lower.mean())
    return abs(gap - factor) <= room and max(np.ptp(upper), np.ptp(lower)) <= room


def _multiples(prices: Floats, close: float, factor: float, room: float) -> bool:
    """Whether each is a close beside them, or a factor more or less, and not all are alike."""
    powers = np.rint((prices - close) / factor)
    fits = np.abs(prices - close - powers * factor) <= room
    return bool(fits.all()) and bool(np.ptp(powers) > 0) and bool(np.abs(powers).max() <= 1)


def _mixed_findings(bars: Series, mixed: Mask, parameters: Parameters) -> list[Finding]:
    return [
        Finding(
            UNITS_MIXED,
            parameters.severity(UNITS_MIXED),
            bars.dates[first].item(),
            bars.dates[last].item(),
            float(bars.high[first] / bars.low[first]),
            1.0,
            f"high {bars.high[first]:g} and low {bars.low[first]:g} of one bar are in two units",
            np.arange(first, last + 1),
        )
        for first, last in runs(mixed)
    ]
