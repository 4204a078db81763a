"""Core: days and moves: sessions, gaps, stale prices, moves out of the usual. No I/O, no clock.

No trade on a day is no fault, and a stock that seldom trades shows it: what is unusual is judged
by what is usual for the series itself.
"""

from dataclasses import dataclass

import numpy as np

from screener_collector.rules.model import (
    Days,
    Finding,
    Floats,
    Indexes,
    Mask,
    Parameters,
    Series,
    SeriesContext,
)
from screener_collector.rules.numbers import half_units, quantile, runs, volume_step

NO_SESSION = "no_session"
_USUAL_BARS = 60
_CALM_BARS = 6


def copies(bars: Series) -> Mask:
    """Bars that are exactly the one before, volume included, and have volume and a range."""
    same = np.zeros(len(bars), np.bool_)
    if len(bars) < 2:
        return same
    # Equal volumes are rare, so the rest is looked at for few bars.
    volume = bars.volume
    places = np.flatnonzero((volume[1:] == volume[:-1]) & (volume[1:] > 0)) + 1
    for column in (bars.close, bars.open, bars.high, bars.low):
        if not len(places):
            return same
        places = places[column[places] == column[places - 1]]
    same[places[bars.high[places] > bars.low[places]]] = True
    return same


def outside_sessions(dates: Days, sessions: Days) -> Mask:
    """Bars on days without a session, as far as the sessions reach."""
    if not len(sessions) or not len(dates):
        return np.zeros(len(dates), np.bool_)
    places = np.searchsorted(sessions, dates)
    inside = (dates >= sessions[0]) & (dates <= sessions[-1])
    outside: Mask = inside & (sessions[np.minimum(places, len(sessions) - 1)] != dates)
    return outside


def judge_sessions(
    bars: Series, sessions: Days, copied: Mask, parameters: Parameters
) -> list[Finding]:
    """Findings of `no_session` and `calendar_doubtful`."""
    outside = outside_sessions(bars.dates, sessions)
    if not outside.any():
        return []
    # A series that never has volume is no witness of days without.
    empty = (bars.volume == 0) if bars.volume.any() else np.zeros(len(bars), np.bool_)
    without = outside & (empty | copied)
    traded = np.flatnonzero(outside & ~without)
    found = []
    doubtful = len(traded) >= parameters.value(NO_SESSION, "doubt_bars") and len(
        traded
    ) > parameters.value(NO_SESSION, "doubt_share") * len(bars)
    if not doubtful:
        found = [
            Finding(
                NO_SESSION,
                parameters.severity(NO_SESSION),
                bars.dates[first].item(),
                bars.dates[last].item(),
                float(bars.volume[first]),
                None,
                "no session by the calendar, and no trade"
                if empty[first]
                else "no session by the calendar, and a copy of the bar before",
                np.arange(first, last + 1),
            )
            for first, last in runs(without)
        ]
    if len(traded):
        first = int(traded[0])
        found.append(
            Finding(
                "calendar_doubtful",
                parameters.severity("calendar_doubtful"),
                bars.dates[first].item(),
                bars.dates[first].item(),
                float(len(traded)),
                0.0,
                f"{len(traded)} bars with volume are on days without a session by the calendar,"
                f" from {bars.dates[first]} to {bars.dates[traded[-1]]}",
                traded,
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _Soft:
    """What is merely unusual, at a bar."""

    at: int
    last: int
    rule: str
    measured: float
    expected: float
    message: str


def judge_trading(
    bars: Series,
    context: SeriesContext,
    copied: Mask,
    adjusted_moves: Floats,
    explained: Mask | None,
    parameters: Parameters,
) -> list[Finding]:
    """Findings of what is merely unusual: one within a year, which counts the others.

    `explained`: bars whose move another finding or an action explains; None: that is not known.
    """
    soft = [
        *(() if explained is None else _returns(bars, adjusted_moves, explained, parameters)),
        *(
            _Soft(at, at, "bar_repeated", 1.0, 0.0, "the bar is exactly that of the session before")
            for at in np.flatnonzero(copied).tolist()
        ),
        *_still(bars, parameters),
        *_gaps(bars, context, parameters),
    ]
    if not soft:
        return []
    soft.sort(key=lambda each: (each.at, each.rule))
    found: list[Finding] = []
    kept: list[list[_Soft]] = []
    for each in soft:
        if kept and bars.dates[each.at] - bars.dates[kept[-1][0].at] < np.timedelta64(366, "D"):
            kept[-1].append(each)
        else:
            kept.append([each])
    for first, *others in kept:
        more = f"; and {len(others)} more within a year" if others else ""
        found.append(
            Finding(
                first.rule,
                parameters.severity(first.rule),
                bars.dates[first.at].item(),
                bars.dates[first.last].item(),
                first.measured,
                first.expected,
                first.message + more,
                np.arange(first.at, first.last + 1),
            )
        )
    return found


def _returns(bars: Series, moves: Floats, explained: Mask, parameters: Parameters) -> list[_Soft]:
    rule = "return_unexplained"
    most = parameters.value(rule, "return")
    up, down = np.log1p(most), np.log1p(-most)
    places = np.flatnonzero((moves > up) | (moves < down)) + 1
    if not len(places):
        return []
    usual = quantile(np.abs(moves), 0.95)
    units = half_units(bars.close)
    found = []
    for at in places[~explained[places]].tolist():
        # The first days of a listing have no usual.
        if at < _CALM_BARS:
            continue
        move = float(moves[at - 1])
        # As small as the decimals allow.
        rounding = float(2.0 * units[at] / bars.close[at] + 2.0 * units[at] / bars.close[at - 1])
        least = abs(move) - rounding
        if least <= (up if move > 0 else -down):
            continue
        if least <= parameters.value(rule, "usual_moves") * usual:
            continue
        if bars.dates[at] - bars.dates[at - 1] > np.timedelta64(
            int(parameters.value(rule, "gap_days")), "D"
        ):
            continue
        if volume_step(bars.volume, at) >= parameters.value(rule, "volume_step"):
            continue
        found.append(
            _Soft(
                at,
                at,
                rule,
                float(np.expm1(move)),
                0.0,
                f"the adjusted close moves by {np.expm1(move):+.0%} without an action and without"
                " more volume",
            )
        )
    return found


def _still(bars: Series, parameters: Parameters) -> list[_Soft]:
    """Runs of the same prices with volume, and runs without volume."""
    found: list[_Soft] = []
    if len(bars) < 2 * _USUAL_BARS:
        return found
    close = bars.close
    least = int(parameters.value("prices_stale", "bars"))
    same = np.concatenate(([False], (close[1:] == close[:-1]) & (bars.volume[1:] > 0)))
    # Few series have so many equal closes in a row; only those are looked at closely.
    if np.count_nonzero(same) >= least - 1:
        share = parameters.value("prices_stale", "usual_share")
        if np.count_nonzero(same) <= share * len(bars):
            for column in (bars.open, bars.high, bars.low):
                same[1:] &= column[1:] == column[:-1]
            for first, last in runs(same):
                if last - first + 2 >= least:
                    found.append(
                        _Soft(
                            first - 1,
                            last,
                            "prices_stale",
                            float(last - first + 2),
                            float(least),
                            f"the same four prices on {last - first + 2} days, with volume",
                        )
                    )
    empty = bars.volume == 0
    least = int(parameters.value("volume_missing", "bars"))
    count = int(np.count_nonzero(empty))
    if count >= least and count <= 0.5 * len(bars):
        share = parameters.value("volume_missing", "traded_share")
        for first, last in runs(empty):
            before = bars.volume[max(0, first - _USUAL_BARS) : first]
            if (
                last - first + 1 >= least
                and len(before) == _USUAL_BARS
                and np.count_nonzero(before) >= share * len(before)
            ):
                found.append(
                    _Soft(
                        first,
                        last,
                        "volume_missing",
                        float(last - first + 1),
                        0.0,
                        f"no volume on {last - first + 1} days of a stock that trades every day",
                    )
                )
    return found


def _gaps(bars: Series, context: SeriesContext, parameters: Parameters) -> list[_Soft]:
    found: list[_Soft] = []
    sessions = context.sessions
    if not len(sessions) or len(bars) < _USUAL_BARS:
        return found
    least = int(parameters.value("session_gap", "sessions"))
    least_of_steady = least
    if context.calendar_known:
        least_of_steady = int(parameters.value("session_gap", "sessions_of_steady"))
    inside = int(np.count_nonzero((bars.dates >= sessions[0]) & (bars.dates <= sessions[-1])))
    last = int(np.searchsorted(sessions, bars.dates[-1], "right"))
    first = int(np.searchsorted(sessions, bars.dates[0]))
    if last - first - inside >= min(least, least_of_steady):
        places = np.searchsorted(sessions, bars.dates)
        missing = np.diff(places) - 1
        missing[bars.dates[:-1] < sessions[0]] = 0
        share = parameters.value("session_gap", "traded_share")
        steady = int(parameters.value("session_gap", "steady_bars"))
        for at in np.flatnonzero(missing >= min(least, least_of_steady)).tolist():
            if (missing[at] >= least and _trades_daily(bars, places, at, share)) or (
                missing[at] >= least_of_steady and _missed_none(bars, places, at, steady)
            ):
                found.append(
                    _Soft(
                        at + 1,
                        at + 1,
                        "session_gap",
                        float(missing[at]),
                        0.0,
                        f"no bar of {missing[at]} sessions after {bars.dates[at]}",
                    )
                )
    least = int(parameters.value("last_bar_old", "sessions"))
    late = len(sessions) - last
    if late > least:
        places = np.searchsorted(sessions, bars.dates)
        at = len(bars) - 1
        if _trades_daily(bars, places, at, parameters.value("last_bar_old", "traded_share")):
            found.append(
                _Soft(
                    at,
                    at,
                    "last_bar_old",
                    float(late),
                    float(least),
                    f"no bar of the {late} sessions since {bars.dates[-1]}",
                )
            )
    return found


def _missed_none(bars: Series, places: Indexes, at: int, count: int) -> bool:
    """Whether so many bars up to one have volume and are those of as many sessions."""
    first = at - count + 1
    return bool(
        first >= 0
        and places[at] - places[first] + 1 == count
        and np.count_nonzero(bars.volume[first : at + 1]) == count
    )


def _trades_daily(bars: Series, places: Indexes, at: int, share: float) -> bool:
    """Whether up to a bar nearly every session has a bar with volume."""
    first = at - _USUAL_BARS + 1
    if first < 0:
        return False
    sessions = int(places[at] - places[first]) + 1
    return bool(np.count_nonzero(bars.volume[first : at + 1]) >= share * sessions)
