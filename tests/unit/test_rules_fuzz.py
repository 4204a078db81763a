"""Whatever possible rows make up a series, it is judged without an error."""

import math
from datetime import date, timedelta

import numpy as np
import pytest
from rules_world import make_bars

from screener_collector.bars import Bars
from screener_collector.rules.model import DEFAULTS, QUARANTINE, Actions, SeriesContext
from screener_collector.rules.series import judge_series


def anything(seed: int) -> tuple[object, SeriesContext]:
    """Prices over many orders of size, jumps, copies, days that lack, actions that fit nothing."""
    rng = np.random.default_rng(seed)
    bars = int(rng.choice([1, 2, 3, 5, 21, 80, 300]))
    first = np.datetime64("2020-01-01")
    days = first + np.sort(rng.choice(bars * 2 + 5, bars, replace=False))
    scale = 10.0 ** rng.integers(-3, 7)
    close = scale * np.exp(np.cumsum(rng.normal(0, rng.choice([0, 0.02, 0.5]), bars)))
    for _ in range(int(rng.integers(0, 6))):
        close[int(rng.integers(0, bars)) :] *= float(rng.choice([100, 0.01, 4, 0.25, 7, 1e4]))
    close = np.clip(np.round(close, int(rng.choice([2, 4, 6]))), 0.0001, 1e12)
    open_ = np.clip(close * np.exp(rng.normal(0, 0.01, bars)), 0.0001, 1e12)
    high, low = np.maximum(open_, close), np.minimum(open_, close)
    if rng.random() < 0.3:
        high[int(rng.integers(0, bars))] *= 100
    adjusted = np.clip(close * 10.0 ** rng.integers(-3, 3), 0.0001, 1e12)
    if rng.random() < 0.5:
        adjusted[: int(rng.integers(0, bars + 1))] *= rng.random() + 0.01
    volume = rng.integers(0, 3, bars) * rng.integers(0, 2**40, bars)
    rows: dict[tuple[date, bool], tuple[date, float, float, float]] = {}
    for _ in range(int(rng.integers(0, 8))):
        day = (first + rng.integers(-5, bars * 2 + 10)).item() + timedelta(days=0)
        if rng.random() < 0.5:
            ratio = float(rng.choice([2, 0.5, 100, 0.01, 1.05, 1]))
            rows[day, True] = (day, ratio, math.nan, math.nan)
        else:
            paid = float(rng.choice([0, 0.01, scale, 100 * scale, math.nan]))
            rows[day, False] = (day, math.nan, paid, float(rng.choice([paid, math.nan, 1])))
    sessions = first + np.arange(0, bars * 2) if rng.random() < 0.5 else first + np.arange(0)
    return make_bars(days, open_, high, low, close, np.maximum(adjusted, 1e-4), volume), (
        SeriesContext(
            Actions.of(rows.values()),
            sessions,
            bool(rng.random() < 0.8),
            bool(rng.random() < 0.8),
        )
    )


@pytest.mark.parametrize("seed", [11471, 12525])
def test_findings_of_one_rule_that_begin_on_one_day_are_one(seed: int) -> None:
    """Two splits whose adjusted closes break on one day; a finding is known by rule and day."""
    bars, context = anything(seed)
    found = judge_series(bars, context, DEFAULTS)  # type: ignore[arg-type]
    keys = [(finding.rule, finding.date_from) for finding in found]
    assert "split_misapplied" in dict(keys)
    assert len(keys) == len(set(keys))


SIZES = (1e-12, 1e-4, 0.01, 1.0, 7.5, 1e4, 1e15)
RATIOS = (1e-9, 0.01, 0.5, 2.0, 29.0, 1e9)


def extremes(seed: int) -> tuple[Bars, SeriesContext]:
    """Prices, splits and dividends of all sizes that any may have, many of them, at random."""
    rng = np.random.default_rng(seed)
    count = int(rng.choice([2, 7, 30, 100]))
    days = np.datetime64("2020-01-01") + np.sort(rng.choice(count * 2, count, replace=False))
    columns = [rng.choice(SIZES[: int(rng.integers(1, 8))], count) for _ in range(4)]
    prices = np.sort(columns, axis=0)
    volume = rng.choice([0, 1, 1000, 2**63 - 1], count)
    rows = []
    for at in rng.choice(count * 2 + 9, int(rng.integers(0, count)), replace=False).tolist():
        day = (np.datetime64("2020-01-01") + at).item()
        if rng.random() < 0.6:
            rows.append((day, float(rng.choice(RATIOS)), math.nan, math.nan))
        else:
            paid, adjusted = rng.choice((*SIZES, math.nan), 2).tolist()
            rows.append((day, math.nan, paid, adjusted))
    order = rng.permutation(2) + 1
    return Bars(
        days, prices[order[0]], prices[3], prices[0], prices[order[1]], columns[0], volume
    ), SeriesContext(Actions.of(rows))


def test_extreme_numbers_are_judged_by_numbers_that_can_be_stored() -> None:
    for seed in range(250):
        bars, context = extremes(seed)
        for finding in judge_series(bars, context, DEFAULTS):
            for number in (finding.measured, finding.expected):
                assert number is None or math.isfinite(number), (seed, finding)


@pytest.mark.parametrize("block", range(4))
def test_any_series_is_judged_and_each_finding_has_its_bars(block: int) -> None:
    for seed in range(500 * block, 500 * block + 500):
        bars, context = anything(seed)
        for finding in judge_series(bars, context, DEFAULTS):  # type: ignore[arg-type]
            assert finding.date_from <= finding.date_to, seed
            assert finding.severity in (QUARANTINE, "flag")
            assert not len(finding.bars) or finding.bars.max() < len(bars), seed  # type: ignore[arg-type]
            for number in (finding.measured, finding.expected):
                assert number is None or math.isfinite(number), (seed, finding)
