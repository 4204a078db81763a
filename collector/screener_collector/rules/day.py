"""Core: judges a session's new bars of many assets at once against their last ones. No I/O.

Only what stands out in the vectors is looked at one by one. What takes a history to be judged, such
as splits and dividends, is judged when the history is fetched for them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

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


@dataclass(frozen=True, slots=True, eq=False)
class Tails:
    """The last stored bars before a session, aligned with the session's bars: NaN where none.

    `volume_usual`: the mean of the tail; `noise`: the greatest logarithmic move within it;
    `bars`: how many it has.
    """

    date: Days
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Counts
    volume_usual: Floats
    noise: Floats
    bars: Counts

    @classmethod
    def of(cls, owners: Indexes, bars: Series, count: int) -> Self:
        """From bars of all assets, by owner and then date; `owners`: the place of each bar's
        asset, of `count`."""
        nothing = np.full(count, np.nan)
        dates = np.full(count, "NaT", "datetime64[D]")
        columns = [nothing.copy() for _ in range(6)]
        volume, bars_of = np.zeros(count, np.int64), np.zeros(count, np.int64)
        if len(owners):
            starts = np.flatnonzero(np.concatenate(([True], owners[1:] != owners[:-1])))
            ends = np.append(starts[1:], len(owners)) - 1
            places = owners[starts]
            dates[places] = bars.dates[ends]
            for column, values in (
                (columns[0], bars.open),
                (columns[1], bars.high),
                (columns[2], bars.low),
                (columns[3], bars.close),
            ):
                column[places] = values[ends]
            volume[places] = bars.volume[ends]
            bars_of[places] = ends - starts + 1
            columns[4][places] = np.add.reduceat(bars.volume.astype(np.float64), starts)
            columns[4][places] /= bars_of[places]
            moves = np.zeros(len(owners))
            moves[1:] = np.abs(np.diff(np.log(bars.close)))
            moves[starts] = 0.0
            columns[5][places] = np.maximum.reduceat(moves, starts)
        open_, high, low, close, usual, noise = columns
        return cls(dates, open_, high, low, close, volume, usual, noise, bars_of)


def judge_day(
    bars: Series, tails: Tails, ratios: Floats, paid: Mask, parameters: Parameters
) -> Mapping[int, list[Finding]]:
    """Findings by place of the asset. Linear in the assets, a few vectors of them.

    `bars`: of each asset one, all of the session. `ratios`: by asset the logarithm of a split
    recorded for that session, else 0; `paid`: whether a dividend is.
    """
    found: dict[int, list[Finding]] = {}
    if not len(bars):
        return found
    with np.errstate(invalid="ignore", divide="ignore"):
        moves = np.log(bars.close / tails.close)
        corrected = moves + ratios
    factor = math.log(parameters.value("unit_switch", "factor"))
    room = parameters.value("unit_switch", "tolerance")
    least = np.minimum(bars.close, np.nan_to_num(tails.close, nan=np.inf)) >= (
        2.0 * parameters.value("unit_switch", "ticks") * half_units(bars.close)
    )
    calm = np.nan_to_num(tails.noise) <= parameters.value("unit_switch", "noise")
    # With a split of about 100 on record neither the price with it nor that without has switched.
    switched = (
        (np.abs(np.abs(corrected) - factor) <= room)
        & ((ratios == 0.0) | (np.abs(moves) > room))
        & least
        & calm
    )
    for at in np.flatnonzero(switched).tolist():
        _add(
            found, parameters, bars, at, "unit_switch", math.exp(corrected[at]), 1.0,
            f"close {bars.close[at]:g} is {math.exp(corrected[at]):.4g} times that of"
            f" {tails.date[at]}",
        )  # fmt: skip
    wide = np.flatnonzero((bars.high > 30.0 * bars.low) & ~switched)
    for at in wide.tolist():
        if abs(math.log(bars.high[at] / bars.low[at]) - factor) <= parameters.value(
            "units_mixed", "tolerance"
        ) and bars.low[at] >= 2.0 * parameters.value("unit_switch", "ticks") * float(
            half_units(bars.low[at : at + 1])[0]
        ):
            _add(
                found, parameters, bars, at, "units_mixed",
                float(bars.high[at] / bars.low[at]), 1.0,
                f"high {bars.high[at]:g} and low {bars.low[at]:g} of one bar are in two units",
            )  # fmt: skip
    same = (
        (bars.volume == tails.volume)
        & (bars.volume > 0)
        & (bars.high > bars.low)
        & (bars.open == tails.open)
        & (bars.high == tails.high)
        & (bars.low == tails.low)
        & (bars.close == tails.close)
    )
    for at in np.flatnonzero(same).tolist():
        _add(
            found, parameters, bars, at, "bar_repeated", 1.0, 0.0,
            f"the bar is exactly that of {tails.date[at]}",
        )  # fmt: skip
    _returns(found, bars, tails, moves, (ratios != 0.0) | paid | switched, parameters)
    return found


def unchanged(bars: Series, tails: Tails) -> tuple[int, int]:
    """Of the assets with a traded bar before: how many, and how many have that bar again."""
    known = tails.volume > 0
    same = known & (bars.volume == tails.volume)
    for mine, theirs in (
        (bars.open, tails.open),
        (bars.high, tails.high),
        (bars.low, tails.low),
        (bars.close, tails.close),
    ):
        same &= mine == theirs
    return int(np.count_nonzero(known)), int(np.count_nonzero(same))


def _returns(
    found: dict[int, list[Finding]],
    bars: Series,
    tails: Tails,
    moves: Floats,
    explained: Mask,
    parameters: Parameters,
) -> None:
    rule = "return_unexplained"
    most = parameters.value(rule, "return")
    rounding = 2.0 * half_units(bars.close) * (1.0 / bars.close + 1.0 / tails.close)
    least = np.abs(moves) - rounding
    far = np.where(moves > 0, least > np.log1p(most), least > -np.log1p(-most))
    gap = (bars.dates - tails.date).astype(np.float64) > parameters.value(rule, "gap_days")
    busy = bars.volume >= parameters.value(rule, "volume_step") * tails.volume_usual
    usual = least <= parameters.value(rule, "usual_moves") * tails.noise
    out = far & ~gap & ~busy & ~usual & ~explained & (tails.bars >= _LEAST_BARS)
    for at in np.flatnonzero(out).tolist():
        move = math.expm1(moves[at])
        _add(
            found, parameters, bars, at, rule, move, 0.0,
            f"the close moves by {move:+.0%} from {tails.date[at]} without an action on record"
            " and without more volume",
        )  # fmt: skip


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
