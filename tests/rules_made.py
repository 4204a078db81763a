"""Made series with true crashes, splits and dividends, and faults put into them; from seeds."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray
from rules_world import Asset, make_bars, replaced

from screener_collector.bars import Bars
from screener_collector.rules.model import Actions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Made:
    """A made series: split-adjusted prices, and what happened, by bar."""

    days: NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: NDArray[np.int64]
    splits: dict[int, float]
    dividends: dict[int, float]
    """As paid then."""
    decimals: int = 4
    spun_off: dict[int, float] | None = None
    """Steps of k that are on no record."""

    def ratios(self) -> Floats:
        """By bar the product of the later splits' ratios."""
        later = np.ones(len(self.days))
        for at, ratio in self.splits.items():
            later[:at] *= ratio
        return later

    def factors(self, splits: dict[int, float] | None = None) -> Floats:
        """By bar adjusted over raw close."""
        factors = np.ones(len(self.days))
        raw = self.close * self.ratios()
        for at, ratio in (self.splits if splits is None else splits).items():
            factors[:at] /= ratio
        for at, amount in self.dividends.items():
            factors[:at] *= 1.0 - amount / np.round(raw[at - 1], self.decimals)
        for at, step in (self.spun_off or {}).items():
            factors[:at] *= step
        return factors

    def asset(self, factors: Floats | None = None, *, adjusted_decimals: int = 4) -> Asset:
        """As the vendor serves it."""
        ratios = self.ratios()
        raw = np.round(self.close * ratios, self.decimals)
        adjusted = raw * (self.factors() if factors is None else factors)
        # Adjusted for a split of the same day too.
        later = {at: ratios[at - 1] for at in self.dividends}
        rows = [
            (self.days[at].item(), ratio, math.nan, math.nan) for at, ratio in self.splits.items()
        ]
        rows += [
            (self.days[at].item(), math.nan, round(amount, 5), round(amount / later[at], 5))
            for at, amount in self.dividends.items()
        ]
        bars = make_bars(
            self.days,
            np.round(self.open * ratios, self.decimals),
            np.round(self.high * ratios, self.decimals),
            np.round(self.low * ratios, self.decimals),
            raw,
            np.maximum(np.round(adjusted, adjusted_decimals), 10.0**-adjusted_decimals),
            self.volume,
        )
        return Asset(bars, Actions.of(rows))


def _path(
    rng: np.random.Generator, bars: int, start: float, daily: float, volume: float
) -> tuple[Floats, Floats, Floats, Floats, NDArray[np.int64]]:
    moves = rng.standard_t(4, bars) * daily / math.sqrt(2.0)
    close = start * np.exp(np.cumsum(np.clip(moves, -0.3, 0.3)))
    open_ = close * np.exp(rng.normal(0, daily / 2, bars))
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0, daily / 2, bars)))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0, daily / 2, bars)))
    traded = np.exp(rng.normal(math.log(volume), 0.5, bars)).astype(np.int64) + 1
    return open_, high, low, close, traded


def liquid(seed: int, bars: int = 1000, *, decimals: int = 2) -> Made:
    """A daily traded stock that pays each quarter, splits now and then, and crashes once."""
    rng = np.random.default_rng(seed)
    days = np.busday_offset("2019-01-02", np.arange(bars), roll="forward")
    columns = list(_path(rng, bars, float(np.exp(rng.uniform(1.5, 5.5))), 0.018, 1e6))
    crash = int(rng.integers(100, bars - 100))
    for column in columns[:4]:
        column[crash:] *= 0.42
    columns[4][crash] *= 12
    columns[4][crash + 1] *= 5
    splits: dict[int, float] = {}
    if seed % 2:
        splits[int(rng.integers(50, bars - 50))] = float(rng.choice([2, 3, 4, 7, 10, 20, 1.5]))
    if seed % 5 == 0:
        splits[int(rng.integers(50, bars - 50))] = float(rng.choice([0.1, 0.02, 0.05, 0.5, 0.01]))
    open_, high, low, close, volume = columns
    made = Made(days, open_, high, low, close, volume, splits, {}, decimals)
    raw = close * made.ratios()
    first = int(rng.integers(10, 63))
    for at in range(first, bars, 63):
        made.dividends[at] = round(float(raw[at - 1]) * rng.uniform(0.002, 0.012), 4)
    return made


def special(seed: int) -> Made:
    """A special dividend of 30 % on a day, which the price goes down by."""
    made = liquid(seed)
    rng = np.random.default_rng(seed)
    at = int(rng.integers(50, len(made.days) - 50))
    raw = made.close * made.ratios()
    amount = round(float(raw[at - 1]) * 0.3, 4)
    for column in (made.open, made.high, made.low, made.close):
        column[at:] *= 0.7
    made.dividends.pop(at, None)
    ratios = made.ratios()
    for day in [each for each in made.dividends if each > at]:
        made.dividends[day] = round(float((made.close * ratios)[day - 1]) * 0.005, 4)
    made.dividends[at] = amount
    return made


def penny(seed: int, bars: int = 800) -> Made:
    """A stock of a few ticks that often does not trade and jumps by whole ticks."""
    rng = np.random.default_rng(seed)
    days = np.busday_offset("2019-01-02", np.arange(bars), roll="forward")
    ticks = np.maximum(
        1, np.rint(rng.integers(2, 80) * np.exp(np.cumsum(rng.normal(0, 0.12, bars))))
    )
    trades = rng.random(bars) < rng.uniform(0.3, 0.9)
    close = ticks * 0.0001
    for at in range(1, bars):
        if not trades[at]:
            close[at] = close[at - 1]
    spread = rng.integers(0, 2, bars) * 0.0001 * trades
    volume = (trades * np.exp(rng.normal(9, 1.5, bars))).astype(np.int64)
    low = np.maximum(close - spread, 0.0001)
    return Made(days, close.copy(), close + spread, low, close, volume, {}, {})


def flat(seed: int, bars: int = 700) -> Made:
    """A listing that trades once in weeks; days without a trade carry the last price, or lack."""
    rng = np.random.default_rng(seed)
    days = np.busday_offset("2019-01-02", np.arange(bars), roll="forward")
    trades = rng.random(bars) < 0.06
    price = float(np.exp(rng.uniform(-1, 4)))
    close = np.empty(bars)
    for at in range(bars):
        if trades[at]:
            price *= math.exp(rng.normal(0, 0.08))
        close[at] = round(price, 3)
    volume = (trades * rng.integers(1, 500, bars)).astype(np.int64)
    keep = np.flatnonzero(rng.random(bars) < (1.0 if seed % 2 else 0.6))
    return Made(
        days[keep],
        close[keep].copy(),
        close[keep].copy(),
        close[keep].copy(),
        close[keep],
        volume[keep],
        {},
        {},
    )


def newcomer(seed: int) -> Made:
    """A new listing: sixty bars, the second day up by 80 % with volume."""
    made = liquid(2 * seed, 300)
    keep = slice(0, 60)
    columns = [c[keep].copy() for c in (made.open, made.high, made.low, made.close)]
    for column in columns:
        column[1:] *= 1.8
    volume = made.volume[keep].copy()
    volume[:2] *= 10
    return Made(made.days[keep], *columns, volume, {}, {}, made.decimals)


def spin_off(seed: int) -> Made:
    """A part of a fifth goes to the holders: the vendor adjusts for it, no record says so."""
    made = liquid(2 * seed)
    at = 400 + seed
    while at in made.dividends:
        at += 1
    ratios = made.ratios()
    before = made.close * ratios
    for column in (made.open, made.high, made.low, made.close):
        column[at:] *= 0.8
    for day in [each for each in made.dividends if each > at]:
        made.dividends[day] = round(made.dividends[day] * 0.8, 4)
    assert before[at] > 0
    return replace(made, spun_off={at: 0.8})


CLEAN: dict[str, Callable[[int], Made]] = {
    "liquid": liquid,
    "in four decimals": lambda seed: liquid(seed, decimals=4),
    "special dividend": special,
    "penny": penny,
    "seldom traded": flat,
    "newcomer": newcomer,
    "spin-off": spin_off,
}
"""Kinds of series without a fault, by name."""


@dataclass(frozen=True)
class Fault:
    """A series with a fault: where its cause is, and the bars that are off by it."""

    asset: Asset
    causes: list[date]
    wrong: NDArray[np.intp]


def unit_switch(made: Made, seed: int) -> Fault:
    """Prices of a while in another unit, up to the newest bar or from the first at times."""
    rng = np.random.default_rng(seed + 1000)
    asset = made.asset()
    count = len(asset.bars)
    length = int(rng.choice([1, 2, 3, 5, 20, 60, 120]))
    where = seed % 4
    first = int(rng.integers(30, count - length - 30))
    if where == 0:
        first = count - length
    elif where == 1 and length < count // 3:
        first = 0
    factor = 100.0 if rng.random() < 0.5 else 0.01
    wrong = np.arange(first, first + length)
    columns = ["open", "high", "low", "close"]
    if rng.random() < 0.7 or first == 0:
        columns.append("adjusted_close")
    changed = {}
    for name in columns:
        values = getattr(asset.bars, name).copy()
        values[wrong] = np.round(values[wrong] * factor, 6)
        changed[name] = values
    bars = replaced(asset.bars, **changed)
    cause = first if first else first + length
    return Fault(Asset(bars, asset.actions), [bars.dates[cause].item()], wrong)


def units_mixed(made: Made, seed: int) -> Fault:
    """Of one bar some prices in another unit, so that each still lies within its low and high."""
    rng = np.random.default_rng(seed + 2000)
    asset = made.asset()
    at = int(rng.integers(30, len(asset.bars) - 1))
    factors: dict[str, float] = (
        {"high": 100.0},
        {"low": 0.01},
        {"high": 100.0, "close": 100.0},
        {"low": 0.01, "open": 0.01},
        {"high": 100.0, "open": 100.0},
        {"high": 100.0, "low": 0.01},
    )[seed % 6]
    changed = {}
    for name, factor in factors.items():
        values = getattr(asset.bars, name).copy()
        values[at] = round(values[at] * factor, 6)
        changed[name] = values
    bars = replaced(asset.bars, **changed)
    return Fault(Asset(bars, asset.actions), [bars.dates[at].item()], np.array([at]))


def with_split(seed: int) -> Made:
    """A liquid series with one split that can be seen."""
    made = liquid(2 * seed + 1)
    rng = np.random.default_rng(seed + 3000)
    at = int(rng.integers(120, len(made.days) - 120))
    made.splits.clear()
    before = made.dividends.copy()
    ratio = float(rng.choice([2, 3, 4, 5, 7, 10, 20, 0.1, 0.05, 0.02, 1.5, 0.5]))
    made.splits[at] = ratio
    ratios = made.ratios()
    raw = made.close * ratios
    made.dividends.clear()
    for day in before:
        if day != at:
            made.dividends[day] = round(float(raw[day - 1]) * 0.006, 4)
    return made


def split_not_applied(seed: int) -> Fault:
    """The adjusted close knows nothing of a split."""
    made = with_split(seed)
    (at,) = made.splits
    asset = made.asset(made.factors(splits={}))
    return Fault(asset, [made.days[at].item()], np.arange(at))


def split_in_part(seed: int) -> Fault:
    """Only the bars from some day on are adjusted for a split."""
    made = with_split(seed)
    ((at, ratio),) = made.splits.items()
    first = at - int(np.random.default_rng(seed).choice([1, 2, 5, 10, 40, 100]))
    factors = made.factors()
    factors[:first] *= ratio
    causes = [made.days[at].item(), made.days[first].item()]
    return Fault(made.asset(factors), causes, np.arange(first))


def split_twice(seed: int) -> Fault:
    """The adjusted close has a split twice, on one day or some days apart."""
    made = with_split(seed)
    ((at, ratio),) = made.splits.items()
    second = at + int(np.random.default_rng(seed).choice([0, 1, 3, 5]))
    factors = made.factors()
    factors[:second] /= ratio
    return Fault(made.asset(factors), [made.days[at].item()], np.arange(second))


def split_that_was_none(seed: int) -> Fault:
    """A split on record and in the adjusted close that the price does not show."""
    made = with_split(seed)
    ((at, ratio),) = made.splits.items()
    plain = replace(made, splits={})
    factors = plain.factors()
    factors[:at] /= ratio
    asset = plain.asset(factors)
    rows = [(made.days[at].item(), ratio, math.nan, math.nan)]
    known = asset.actions
    rows += [
        (known.ex_dates[n].item(), math.nan, float(known.raw[n]), float(known.raw[n]) / ratio)
        if known.ex_dates[n] < made.days[at]
        else (known.ex_dates[n].item(), math.nan, float(known.raw[n]), float(known.raw[n]))
        for n in range(len(known))
    ]
    return Fault(Asset(asset.bars, Actions.of(rows)), [made.days[at].item()], np.arange(at))


def split_late(seed: int) -> Fault:
    """Prices of some days from a split on are still those of old shares, the adjusted ones too."""
    made = with_split(seed)
    ((at, ratio),) = made.splits.items()
    late = int(np.random.default_rng(seed).choice([1, 2, 4, 8]))
    asset = made.asset()
    wrong = np.arange(at, at + late)
    changed = {}
    for name in ("open", "high", "low", "close", "adjusted_close"):
        values = getattr(asset.bars, name).copy()
        values[wrong] = np.round(values[wrong] * ratio, 4)
        changed[name] = values
    return Fault(
        Asset(replaced(asset.bars, **changed), asset.actions), [made.days[at].item()], wrong
    )


def _one_dividend(made: Made, seed: int) -> int:
    rng = np.random.default_rng(seed + 4000)
    days = sorted(at for at in made.dividends if at not in made.splits)
    return int(rng.choice(days[1:-1]))


def _factors_with(made: Made, at: int, step: Callable[[float], float]) -> Floats:
    """Factors in which the dividend at a bar has another step: of its share of the price."""
    raw = np.round(made.close * made.ratios(), made.decimals)
    share = made.dividends[at] / raw[at - 1]
    factors = made.factors()
    factors[:at] *= step(share) / (1.0 - share)
    return factors


def dividend_missing(seed: int) -> Fault:
    """The adjusted close lacks a dividend."""
    made = liquid(seed)
    at = _one_dividend(made, seed)
    factors = _factors_with(made, at, lambda share: 1.0)
    return Fault(made.asset(factors), [made.days[at].item()], np.arange(0))


def dividend_twice(seed: int) -> Fault:
    """The adjusted close has a dividend twice."""
    made = liquid(seed)
    at = _one_dividend(made, seed)
    factors = _factors_with(made, at, lambda share: (1.0 - share) ** 2)
    return Fault(made.asset(factors), [made.days[at].item()], np.arange(0))


def dividend_of_a_hundredth(seed: int) -> Fault:
    """The adjusted close has a hundredth of each dividend."""
    made = liquid(seed)
    factors = made.factors()
    for at in made.dividends:
        raw = np.round(made.close * made.ratios(), made.decimals)
        share = made.dividends[at] / raw[at - 1]
        factors[:at] *= (1.0 - share / 100) / (1.0 - share)
    return Fault(made.asset(factors), [made.days[at].item() for at in made.dividends], np.arange(0))


def dividend_of_a_hundredfold(seed: int) -> Fault:
    """The record has a hundred times what was paid."""
    made = liquid(seed)
    at = _one_dividend(made, seed)
    asset = made.asset()
    day = made.days[at]
    known = asset.actions
    raw, adjusted = known.raw.copy(), known.adjusted.copy()
    wrong = (known.ex_dates == day) & np.isnan(known.ratio)
    raw[wrong] *= 100
    adjusted[wrong] *= 100
    actions = Actions(known.ex_dates, known.ratio, raw, adjusted, known.converted)
    return Fault(Asset(asset.bars, actions), [day.item()], np.arange(0))


def at_most(bars: Bars, findings: int) -> float:
    """Findings a year."""
    years = max(1.0, float((bars.dates[-1] - bars.dates[0]).astype(int)) / 365.25)
    return findings / years
