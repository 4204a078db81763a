"""Core: judges a session's new bars of many assets at once against their last ones. No I/O.

Only what stands out in the vectors is looked at one by one. What takes a history to be judged, such
as splits and dividends, is judged when the history is fetched for them.
"""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from screener_collector.rules.model import (
    Counts,
    Days,
    Finding,
    Floats,
    Indexes,
    Mask,
    Parameters,
    Series,
)
from screener_collector.rules.numbers import half_units

_LEAST_BARS = 6


class Tails(Protocol):
    """The last stored bars of many assets: matrices, assets by days, the newest in the last column.

    A row begins with NaT, NaN and, of volumes, 0 where an asset has fewer bars.
    """

    @property
    def lengths(self) -> Indexes: ...
    @property
    def dates(self) -> Days: ...
    @property
    def open(self) -> Floats: ...
    @property
    def high(self) -> Floats: ...
    @property
    def low(self) -> Floats: ...
    @property
    def close(self) -> Floats: ...
    @property
    def volume(self) -> Counts: ...


def judge_day(
    bars: Series, tails: Tails, ratios: Floats, paid: Mask, parameters: Parameters
) -> Mapping[int, list[Finding]]:
    """Findings by place of the asset. Linear in the assets, a few vectors of them.

    `bars`: of each asset of `tails` one, in their order, all of the session. `ratios`: by asset the
    logarithm of a split recorded for that session, else 0; `paid`: whether a dividend is.
    """
    found: dict[int, list[Finding]] = {}
    if not len(bars):
        return found
    before = tails.close[:, -1]
    moves = np.log(bars.close / before)
    noise = _noise(tails)
    corrected = moves + ratios
    factor = math.log(parameters.value("unit_switch", "factor"))
    room = parameters.value("unit_switch", "tolerance")
    ticks = 2.0 * parameters.value("unit_switch", "ticks")
    fine = np.fmin(bars.close, before) >= ticks * half_units(bars.close)
    # With a split of about 100 on record neither the price with it nor that without has switched.
    switched = (
        (np.abs(np.abs(corrected) - factor) <= room)
        & ((ratios == 0.0) | (np.abs(moves) > room))
        & fine
        & (noise <= parameters.value("unit_switch", "noise"))
    )
    for at in np.flatnonzero(switched).tolist():
        times = math.exp(corrected[at])
        text = f"close {bars.close[at]:g} is {times:.4g} times that of {tails.dates[at, -1]}"
        _add(found, parameters, bars, at, "unit_switch", times, 1.0, text)
    wide = (bars.high > 30.0 * bars.low) & ~switched & (bars.low >= ticks * half_units(bars.low))
    mixed = parameters.value("units_mixed", "tolerance")
    for at in np.flatnonzero(wide).tolist():
        times = float(bars.high[at] / bars.low[at])
        # Twice the factor: the high is up by it and the low down.
        if min(abs(math.log(times) - n * factor) for n in (1, 2)) <= mixed:
            text = f"high {bars.high[at]:g} and low {bars.low[at]:g} of one bar are in two units"
            _add(found, parameters, bars, at, "units_mixed", times, 1.0, text)
    same = _same(bars, tails) & (bars.high > bars.low)
    for at in np.flatnonzero(same).tolist():
        text = f"the bar is exactly that of {tails.dates[at, -1]}"
        _add(found, parameters, bars, at, "bar_repeated", 1.0, 0.0, text)
    _returns(found, bars, tails, moves, noise, (ratios != 0.0) | paid | switched, parameters)
    return found


def unchanged(bars: Series, tails: Tails) -> tuple[int, int]:
    """Of the assets with a traded bar before: how many, and how many have that bar again."""
    known = tails.volume[:, -1] > 0
    return int(np.count_nonzero(known)), int(np.count_nonzero(_same(bars, tails)))


def _same(bars: Series, tails: Tails) -> Mask:
    """Traded bars that are those before, volume included."""
    same: Mask = (bars.volume > 0) & (bars.volume == tails.volume[:, -1])
    for mine, theirs in (
        (bars.open, tails.open),
        (bars.high, tails.high),
        (bars.low, tails.low),
        (bars.close, tails.close),
    ):
        same &= mine == theirs[:, -1]
    return same


def _noise(tails: Tails) -> Floats:
    """By asset the second greatest logarithmic move within its tail; 0 without any."""
    moves = np.abs(np.diff(np.log(tails.close), axis=1))
    moves = np.nan_to_num(moves)
    if moves.shape[1] < 2:
        return np.zeros(len(moves))
    second: Floats = np.partition(moves, -2, axis=1)[:, -2]
    return second


def _returns(
    found: dict[int, list[Finding]],
    bars: Series,
    tails: Tails,
    moves: Floats,
    noise: Floats,
    explained: Mask,
    parameters: Parameters,
) -> None:
    rule = "return_unexplained"
    most = parameters.value(rule, "return")
    rounding = 2.0 * half_units(bars.close) * (1.0 / bars.close + 1.0 / tails.close[:, -1])
    least = np.abs(moves) - rounding
    far = np.where(moves > 0, least > np.log1p(most), least > -np.log1p(-most))
    gap = bars.dates - tails.dates[:, -1] > np.timedelta64(
        int(parameters.value(rule, "gap_days")), "D"
    )
    usual_volume = tails.volume.sum(axis=1, dtype=np.float64) / np.maximum(tails.lengths, 1)
    busy = bars.volume >= parameters.value(rule, "volume_step") * usual_volume
    usual = least <= parameters.value(rule, "usual_moves") * noise
    out = far & ~gap & ~busy & ~usual & ~explained & (tails.lengths >= _LEAST_BARS)
    for at in np.flatnonzero(out).tolist():
        move = math.expm1(moves[at])
        text = (
            f"the close moves by {move:+.0%} from {tails.dates[at, -1]} without an action on record"
            " and without more volume"
        )
        _add(found, parameters, bars, at, rule, move, 0.0, text)


def _add(
    found: dict[int, list[Finding]],
    parameters: Parameters,
    bars: Series,
    at: int,
    rule: str,
    measured: float,
    expected: float,
    message: str,
) -> None:
    day = bars.dates[at].item()
    found.setdefault(at, []).append(
        Finding(
            rule,
            parameters.severity(rule),
            day,
            day,
            float(measured),
            expected,
            message,
            np.zeros(1, np.intp),
        )
    )
