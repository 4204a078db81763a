"""Core: moves that look like a split that nobody recorded. No I/O, no clock."""

import math

import numpy as np

from screener_collector.rules.model import Finding, Floats, Mask, Parameters, Series
from screener_collector.rules.numbers import half_units, quantile, traded_share, volume_step

_RULE = "split_suspected"
_RATIOS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0)
_AROUND = 5


def judge_suspicion(
    bars: Series, moves: Floats, adjusted_moves: Floats, explained: Mask, parameters: Parameters
) -> list[Finding]:
    """Findings of `split_suspected`; only a calm, daily traded, finely priced series can have one.

    A crash brings volume, and seldom ends at a simple ratio.
    """
    places = np.flatnonzero(np.abs(moves) > math.log(1.45)) + 1
    if not len(places):
        return []
    near = parameters.value(_RULE, "tolerance")
    found = []
    for at in places[~explained[places]].tolist():
        move = float(moves[at - 1])
        ratio = min(_RATIOS, key=lambda each: abs(abs(move) - math.log(each)))
        if abs(abs(move) - math.log(ratio)) > near:
            continue
        if abs(float(adjusted_moves[at - 1]) - move) > near:
            continue
        if _is_calm(bars, moves, at, abs(move), parameters) and _stays(bars, at, abs(move)):
            text = f"{ratio:g} for one" if move < 0 else f"one for {ratio:g}"
            found.append(
                Finding(
                    _RULE,
                    parameters.severity(_RULE),
                    bars.dates[at].item(),
                    bars.dates[at].item(),
                    math.exp(move),
                    1.0 / ratio if move < 0 else ratio,
                    f"the price steps as by a split of {text}, which is not on record",
                    np.array([at]),
                )
            )
    return found


def _is_calm(bars: Series, moves: Floats, at: int, move: float, parameters: Parameters) -> bool:
    before = slice(max(0, at - 61), at - 1)
    around = bars.volume[max(0, at - 60) : at + _AROUND]
    if len(moves[before]) < _AROUND:
        return False
    ticks = min(bars.close[at], bars.close[at - 1]) / (2.0 * float(half_units(bars.close)[at]))
    return (
        ticks >= parameters.value(_RULE, "ticks")
        and traded_share(around) >= parameters.value(_RULE, "traded_share")
        and move >= parameters.value(_RULE, "moves") * quantile(np.abs(moves[before]), 0.95)
        # The vendor's volume may be in old or in new shares.
        and volume_step(bars.volume, at)
        < parameters.value(_RULE, "volume_step") * max(1.0, math.exp(move) / 2.0)
    )


def _stays(bars: Series, at: int, move: float) -> bool:
    """Whether the closes after keep the new level, and those before had the old one."""
    before, after = bars.close[max(0, at - _AROUND) : at], bars.close[at : at + _AROUND]
    if len(before) < 2 or len(after) < 2:
        return False
    spread = max(
        float(np.ptp(np.log(before))),
        float(np.ptp(np.log(after))),
    )
    return spread <= 0.25 * move
