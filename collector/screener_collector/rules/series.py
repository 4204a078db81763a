"""Core: judges one asset's bars by all rules of a series. No I/O, no clock.

A clean series passes a few comparisons of whole columns; what takes a closer look does so only
where something stands out.
"""

from dataclasses import replace
from datetime import date

import numpy as np

from screener_collector.rules.adjustments import judge_adjustments
from screener_collector.rules.blocks import judge_blocks
from screener_collector.rules.model import (
    QUARANTINE,
    Days,
    Finding,
    Floats,
    Indexes,
    Mask,
    Parameters,
    Series,
    SeriesContext,
)
from screener_collector.rules.numbers import steps
from screener_collector.rules.suspicion import judge_suspicion
from screener_collector.rules.trading import copies, judge_sessions, judge_trading
from screener_collector.rules.units import judge_units


def judge_series(bars: Series, context: SeriesContext, parameters: Parameters) -> list[Finding]:
    """All findings about a series whose rows are possible each by itself, by date.

    `bars`: positive finite prices, as `bars.sort_out` leaves them. What a rule sets aside is not
    there for the rules after it.
    """
    if not len(bars):
        return []
    copied = copies(bars)
    found = judge_sessions(bars, context.sessions, copied, parameters)
    log_close, log_adjusted = np.log(bars.close), np.log(bars.adjusted_close)
    moves, adjusted_moves = steps(log_close), steps(log_adjusted)
    found += judge_units(bars, _split_ratios(bars, context), moves, adjusted_moves, parameters)
    found += judge_blocks(bars, adjusted_moves, parameters)
    aside = _set_aside(found, len(bars))
    places: Indexes | None = None
    if aside is not None:
        places = np.flatnonzero(~aside)
        if not len(places):
            return _by_date(found)
        context = _without_neighbours(context, bars.dates, aside)
        # What was set aside came, so its session is not missing.
        there = ~np.isin(context.sessions, bars.dates[aside])
        context = replace(context, sessions=context.sessions[there])
        bars, copied = bars.take(places), copied[places]
        log_close, log_adjusted = log_close[places], log_adjusted[places]
        moves, adjusted_moves = steps(log_close), steps(log_adjusted)
    rest = judge_adjustments(bars, moves, adjusted_moves, context, parameters)
    rest += _judge_moves(bars, moves, adjusted_moves, copied, rest, context, parameters)
    found += _placed(rest, places)
    return _by_date(found)


def _judge_moves(
    bars: Series,
    moves: Floats,
    adjusted_moves: Floats,
    copied: Mask,
    adjustments: list[Finding],
    context: SeriesContext,
    parameters: Parameters,
) -> list[Finding]:
    """Findings of moves and days that `adjustments` and the actions on record do not explain."""
    found: list[Finding] = []
    explained = np.zeros(len(bars), np.bool_)
    for finding in adjustments:
        first, last = np.searchsorted(
            bars.dates, np.array([finding.date_from, finding.date_to], "datetime64[D]")
        )
        explained[max(0, int(first) - 1) : int(last) + 2] = True
        # Where bars set aside meet others, the adjusted close moves by what is wrong of them.
        inner = finding.bars[finding.bars + 1 < len(bars)]
        if finding.severity == QUARANTINE:
            explained[inner + 1] = True
    if len(context.actions):
        acted = np.searchsorted(bars.dates, context.actions.ex_dates)
        explained[acted[acted < len(bars)]] = True
    if context.splits_known:
        suspected = judge_suspicion(bars, moves, adjusted_moves, explained, parameters)
        for finding in suspected:
            explained[finding.bars] = True
        found += suspected
    explained_moves = explained if context.splits_known else None
    found += judge_trading(bars, context, copied, adjusted_moves, explained_moves, parameters)
    return found


def _split_ratios(bars: Series, context: SeriesContext) -> Floats:
    """By bar the logarithm of what recorded splits made of one share that day."""
    ratios = np.zeros(len(bars))
    actions = context.actions
    if len(actions):
        splits = np.flatnonzero(~np.isnan(actions.ratio))
        places = np.searchsorted(bars.dates, actions.ex_dates[splits])
        for at, ratio in zip(places.tolist(), actions.ratio[splits].tolist(), strict=True):
            if 1 <= at < len(bars):
                ratios[at] += np.log(ratio)
    return ratios


def _without_neighbours(context: SeriesContext, dates: Days, aside: Mask) -> SeriesContext:
    """Without the amounts of dividends at bars that are set aside, or right after such: nothing
    shows what the price before them was."""
    actions = context.actions
    places = np.searchsorted(dates, actions.ex_dates)
    inside = places < len(dates)
    hidden = np.zeros(len(actions), np.bool_)
    hidden[inside] = aside[places[inside]] | aside[np.maximum(places[inside] - 1, 0)]
    if not hidden.any():
        return context
    raw, adjusted = actions.raw.copy(), actions.adjusted.copy()
    raw[hidden] = adjusted[hidden] = np.nan
    return replace(context, actions=replace(actions, raw=raw, adjusted=adjusted))


def _set_aside(found: list[Finding], bars: int) -> Mask | None:
    aside = [finding.bars for finding in found if finding.severity == QUARANTINE]
    if not aside:
        return None
    mask = np.zeros(bars, np.bool_)
    for places in aside:
        mask[places] = True
    return mask


def _placed(found: list[Finding], places: Indexes | None) -> list[Finding]:
    """Findings about some of the bars, with the indexes that these have among all."""
    if places is None:
        return found
    return [replace(finding, bars=places[finding.bars]) for finding in found]


def _by_date(found: list[Finding]) -> list[Finding]:
    """In order; those of one rule that begin on one day are one, with the bars of all."""
    merged: dict[tuple[date, str], Finding] = {}
    for finding in sorted(found, key=lambda each: (each.date_from, each.rule)):
        key = (finding.date_from, finding.rule)
        known = merged.get(key)
        merged[key] = finding if known is None else _both(known, finding)
    return list(merged.values())


def _both(one: Finding, other: Finding) -> Finding:
    return replace(
        one,
        date_to=max(one.date_to, other.date_to),
        bars=np.union1d(one.bars, other.bars),
    )
