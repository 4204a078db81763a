"""Made-up and real bars of a whole exchange, with splits and dividends, as the vendor gives them.

Everything hangs on (seed, exchange, code, day), so any range of any asset and any day of all assets
can be computed alone and agree. Open to close are raw; `adjusted_close` and `volume` are rewritten
by every later action that is visible. Pure.

An action is visible with its ex-date's session: then the last bar's adjusted_close is its close,
and earlier ones are not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from screener_local.simulator import noise
from screener_local.simulator.companies import RealBars
from screener_local.simulator.noise import Floats, Ints, Keys
from screener_local.simulator.sessions import Sessions, to_day
from screener_local.simulator.universe import STEADY, Listing

Bools = npt.NDArray[np.bool_]

(
    _BASE,
    _DRIFT,
    _SIGMA,
    _VOLUME,
    _LISTED,
    _LISTED_ON,
    _LEFT_ON,
    _PAYER,
    _YIELD,
    _PHASE,
    _ILLIQUID,
    _SKIP_SHARE,
    _SPLIT,
    _SPLIT_DAY,
    _RATIO,
    _DIVIDEND_DAY,
    _DIVIDEND_SIZE,
    _GAP,
    _UP,
    _DOWN,
    _TURNOVER,
    _SKIPPED,
    _FLAT,
) = range(1, 24)

_RATIOS: Final = np.array(
    [[2, 1], [2, 1], [3, 1], [4, 1], [5, 1], [10, 1], [3, 2], [1, 10], [1, 20], [1, 5]],
    dtype=np.float64,
)
#: The first of them are forward splits; steady listings have no others.
_FORWARD_RATIOS: Final = 7
#: Sums of multiples of this are exact in any order, so a price is the same number however it is
#: reached.
_GRAIN: Final = 2.0**36
_NEVER: Final = 10**6


@dataclass(frozen=True)
class Bars:
    """Columns of equal length.

    For one asset `at` is days; for one day it is asset numbers. Volumes are whole once given out.
    """

    at: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    adjusted: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.at)

    def where(self, keep: Bools) -> Bars:
        return Bars(
            self.at[keep],
            self.open[keep],
            self.high[keep],
            self.low[keep],
            self.close[keep],
            self.adjusted[keep],
            self.volume[keep],
        )


@dataclass(frozen=True)
class Dividend:
    """`amount` as paid a share; `adjusted` for the splits after it; days since the epoch."""

    asset: int
    day: int
    amount: float
    adjusted: float


@dataclass(frozen=True)
class Split:
    asset: int
    day: int
    new: float
    old: float


@dataclass(frozen=True)
class _Traits:
    """One value an asset.

    Logarithms are natural; `sigma` is a day's; days are since the epoch; shares are of 1.
    """

    key: Keys
    base: Floats
    drift: Floats
    sigma: Floats
    volume: Floats
    scale: Floats
    first: Ints
    last: Ints
    payments: Ints
    fraction: Floats
    phase: Floats
    skipped: Floats
    flat: Floats
    steady: Bools


@dataclass(frozen=True)
class _Actions:
    """Every action of every asset, ascending by asset and day.

    `log_step` is what the action does to a made-up raw price, `log_split` to its share count; both
    0 for real actions, which the real bars already contain. `factor` multiplies every
    adjusted_close before it, `split` every volume.
    """

    asset: Ints
    day: Ints
    is_split: Bools
    new: Floats
    old: Floats
    amount: Floats
    factor: Floats
    split: Floats
    log_step: Floats
    log_split: Floats
    start: Ints


class Market:
    """The bars and actions of one exchange's listings.

    Every method takes `visible`, the last published session's day.
    """

    def __init__(
        self, listings: list[Listing], sessions: Sessions, seed: int, real: dict[str, RealBars]
    ) -> None:
        self.sessions = sessions
        self.index = {listing.code: number for number, listing in enumerate(listings)}
        scope = listings[0].exchange if listings else ""
        traits = _traits(listings, seed, scope)
        self._real = {self.index[code]: bars for code, bars in real.items() if code in self.index}
        self._traits = _continue_real(traits, self._real)
        self._actions = self._make_actions()

    # -- asking ------------------------------------------------------------------------------------
    # ------------------------------

    def first_day(self, asset: int) -> int:
        """The day of the asset's first bar at the earliest."""
        real = self._real.get(asset)
        return int(real.day[0]) if real is not None else int(self._traits.first[asset])

    def history(self, asset: int, low: int, high: int, visible: int) -> Bars:
        """Bars of one asset with low ≤ day ≤ high, ascending."""
        high = min(high, visible)
        days = self.sessions.days
        days = days[(days >= low) & (days <= high)]
        which = np.full(len(days), asset, dtype=np.int64)
        raw = self._raw(which, days)
        real = self._real.get(asset)
        if real is not None:
            raw = _joined(real, low, high, raw)
        adjust, split = self._factors_of(asset, raw.at, visible)
        return _as_vendor(raw, adjust, split)

    def day(self, day: int, visible: int) -> Bars:
        """Bars of one session of all assets, ascending by asset.

        Equal to what `history` gives for that day.
        """
        count = len(self._traits.first)
        which = np.arange(count, dtype=np.int64)
        if day > visible or not self.sessions.is_session(day):
            which = which[:0]
        raw = self._raw(which, np.full(len(which), day, dtype=np.int64), by_asset=True)
        for asset, real in self._real.items():
            if len(which):
                raw = _with_real(raw, asset, real, day)
        adjust, split = np.ones(count), np.ones(count)
        actions = self._actions
        later = np.flatnonzero((actions.day > day) & (actions.day <= visible))[::-1]
        np.multiply.at(adjust, actions.asset[later], actions.factor[later])
        np.multiply.at(split, actions.asset[later], actions.split[later])
        return _as_vendor(raw, adjust[raw.at], split[raw.at])

    def dividends(self, asset: int, visible: int) -> list[Dividend]:
        """Dividends of one asset, ascending by ex-date."""
        return self._dividends(self._visible_of(asset, visible), visible)

    def splits(self, asset: int, visible: int) -> list[Split]:
        """Splits of one asset, ascending by ex-date."""
        return self._splits(self._visible_of(asset, visible))

    def dividends_on(self, day: int, visible: int) -> list[Dividend]:
        """Dividends with that ex-date of all assets, ascending by asset."""
        return self._dividends(self._on(day, visible), visible)

    def splits_on(self, day: int, visible: int) -> list[Split]:
        """Splits with that ex-date of all assets, ascending by asset."""
        return self._splits(self._on(day, visible))

    # -- actions -----------------------------------------------------------------------------------
    # ------------------------------

    def _rows_of(self, asset: int) -> Ints:
        start = self._actions.start
        return np.arange(start[asset], start[asset + 1], dtype=np.int64)

    def _visible_of(self, asset: int, visible: int) -> Ints:
        rows = self._rows_of(asset)
        return rows[self._actions.day[rows] <= visible]

    def _on(self, day: int, visible: int) -> Ints:
        return np.flatnonzero((self._actions.day == day) & (day <= visible)).astype(np.int64)

    def _dividends(self, rows: Ints, visible: int) -> list[Dividend]:
        actions = self._actions
        found = []
        for row in rows[~actions.is_split[rows]]:
            asset, day, amount = (
                int(actions.asset[row]),
                int(actions.day[row]),
                float(actions.amount[row]),
            )
            _, split = self._factors_of(asset, np.array([day]), visible)
            found.append(Dividend(asset, day, amount, amount / float(split[0])))
        return found

    def _splits(self, rows: Ints) -> list[Split]:
        actions = self._actions
        return [
            Split(
                int(actions.asset[row]),
                int(actions.day[row]),
                float(actions.new[row]),
                float(actions.old[row]),
            )
            for row in rows[actions.is_split[rows]]
        ]

    def _factors_of(self, asset: int, days: Ints, visible: int) -> tuple[Floats, Floats]:
        """What the visible actions after each day make of its adjusted_close and of its volume."""
        rows = self._visible_of(asset, visible)
        actions = self._actions
        adjust = np.append(np.cumprod(actions.factor[rows][::-1])[::-1], 1.0)
        split = np.append(np.cumprod(actions.split[rows][::-1])[::-1], 1.0)
        at = np.searchsorted(actions.day[rows], days, side="right")
        return adjust[at], split[at]

    def _make_actions(self) -> _Actions:
        planned = _planned(self._traits, self.sessions)
        asset, day, ratio, size = planned.asset, planned.day, planned.ratio, planned.size
        is_split = ratio >= 0
        new = np.where(is_split, _RATIOS[ratio, 0], 1.0)
        old = np.where(is_split, _RATIOS[ratio, 1], 1.0)
        log_split = _grained(np.log(new / old))
        log_step = np.where(is_split, -log_split, _grained(np.log1p(-size)))
        start = np.searchsorted(asset, np.arange(len(self._traits.first) + 1))
        total = np.cumsum(log_step)
        before = total - log_step - np.append(0.0, total)[start[asset]]
        previous = self.sessions.before(day)
        raw = self._continuous(asset, previous) * np.exp(before)
        close = _rounded(raw, self._traits.scale[asset])
        amount = np.where(is_split, 0.0, _payable(close * size))
        made = _Actions(
            asset=asset,
            day=day,
            is_split=is_split,
            new=new,
            old=old,
            amount=amount,
            factor=np.where(is_split, old / new, 1.0 - amount / close),
            split=new / old,
            log_step=log_step,
            log_split=log_split,
            start=start,
        )
        return self._with_real_actions(made)

    def _with_real_actions(self, made: _Actions) -> _Actions:
        rows = []
        for number, real in self._real.items():
            for action in real.actions:
                before = int(np.searchsorted(real.day, action.day)) - 1
                factor = action.old / action.new
                if action.amount:
                    factor = 1.0 - action.amount / float(real.close[before])
                rows.append((number, action, factor))
        if not rows:
            return made
        zeros = np.zeros(len(rows))
        new = np.array([action.new for _, action, _ in rows])
        old = np.array([action.old for _, action, _ in rows])
        amount = np.array([action.amount for _, action, _ in rows])
        asset = np.append(made.asset, np.array([row[0] for row in rows], dtype=np.int64))
        day = np.append(made.day, np.array([row[1].day for row in rows], dtype=np.int64))
        order = np.lexsort((day, asset))
        asset = asset[order]
        return _Actions(
            asset=asset,
            day=day[order],
            is_split=np.append(made.is_split, amount == 0)[order],
            new=np.append(made.new, new)[order],
            old=np.append(made.old, old)[order],
            amount=np.append(made.amount, amount)[order],
            factor=np.append(made.factor, np.array([row[2] for row in rows]))[order],
            split=np.append(made.split, new / old)[order],
            log_step=np.append(made.log_step, zeros)[order],
            log_split=np.append(made.log_split, zeros)[order],
            start=np.searchsorted(asset, np.arange(len(made.start))),
        )

    # -- made-up bars ------------------------------------------------------------------------------
    # ------------------------------

    def _continuous(self, asset: Ints, day: Ints) -> Floats:
        """The price without its actions."""
        traits = self._traits
        value: Floats = np.exp(
            traits.base[asset]
            + traits.drift[asset] * day
            + traits.sigma[asset] * noise.walk(traits.key[asset], day)
        )
        return value

    def _steps(self, asset: Ints, day: Ints, *, by_asset: bool) -> tuple[Floats, Floats]:
        """What the actions up to each day made of the price and of the share count."""
        actions = self._actions
        if by_asset:
            done = actions.day <= (day[0] if len(day) else -1)
            count = len(self._traits.first)
            price = np.bincount(actions.asset[done], actions.log_step[done], count)
            shares = np.bincount(actions.asset[done], actions.log_split[done], count)
            return np.exp(price[asset]), np.exp(shares[asset])
        rows = self._rows_of(int(asset[0])) if len(asset) else np.arange(0)
        at = np.searchsorted(actions.day[rows], day, side="right")
        price = np.append(0.0, np.cumsum(actions.log_step[rows]))
        shares = np.append(0.0, np.cumsum(actions.log_split[rows]))
        return np.exp(price[at]), np.exp(shares[at])

    def _raw(self, asset: Ints, day: Ints, *, by_asset: bool = False) -> Bars:
        """Raw bars for pairs of asset and session;

        `at` is the asset or the day. `adjusted` is still the close, `volume` as traded.
        """
        traits = self._traits
        traded = (day >= traits.first[asset]) & (day <= traits.last[asset])
        traded &= noise.uniform(traits.key[asset], _SKIPPED, day) >= traits.skipped[asset]
        asset, day = asset[traded], day[traded]
        key, sigma, scale = traits.key[asset], traits.sigma[asset], traits.scale[asset]
        step, shares = self._steps(asset, day, by_asset=by_asset)
        close = self._continuous(asset, day) * step
        opened = self._continuous(asset, np.maximum(day - 1, 0)) * step
        opened = opened * np.exp(0.3 * sigma * noise.normal(key, _GAP, day))
        high = np.maximum(opened, close) * np.exp(0.5 * sigma * np.abs(noise.normal(key, _UP, day)))
        low = np.minimum(opened, close) * np.exp(
            -0.5 * sigma * np.abs(noise.normal(key, _DOWN, day))
        )
        volume = np.exp(traits.volume[asset] + 0.5 * noise.normal(key, _TURNOVER, day)) * shares
        close, opened, high, low = (_rounded(price, scale) for price in (close, opened, high, low))
        flat = noise.uniform(key, _FLAT, day) < traits.flat[asset]
        return Bars(
            at=asset if by_asset else day,
            open=np.where(flat, close, opened),
            high=np.where(flat, close, np.maximum.reduce([high, opened, close])),
            low=np.where(flat, close, np.minimum.reduce([low, opened, close])),
            close=close,
            adjusted=close,
            volume=np.where(flat, 0.0, np.maximum(np.rint(volume), 1.0)),
        )


@dataclass(frozen=True)
class _Planned:
    """When made-up actions happen, ascending by asset and day, one an asset and day.

    `ratio` is a row of _RATIOS, or -1 for a dividend of `size` as a share of the price.
    """

    asset: Ints
    day: Ints
    ratio: Ints
    size: Floats

    def where(self, keep: Any) -> _Planned:
        return _Planned(self.asset[keep], self.day[keep], self.ratio[keep], self.size[keep])


def _planned(traits: _Traits, sessions: Sessions) -> _Planned:
    """Splits and dividends of all assets, on sessions after the asset's first bar."""
    years = np.arange(2000, 2001 + int(sessions.days[-1]) // 365, dtype=np.int64)
    january = np.array([to_day(date(int(year), 1, 1)) for year in years], dtype=np.int64)
    parts = [_planned_splits(traits, sessions, years, january)]
    parts += [_planned_dividends(traits, sessions, years, january, slot) for slot in range(4)]
    every = _Planned(
        asset=np.concatenate([part.asset for part in parts]),
        day=np.concatenate([part.day for part in parts]),
        ratio=np.concatenate([part.ratio for part in parts]),
        size=np.concatenate([part.size for part in parts]),
    )
    listed = sessions.before(every.day) >= traits.first[every.asset]
    every = every.where(listed & (every.day <= traits.last[every.asset]) & (every.day > 0))
    every = every.where(np.lexsort((-every.ratio, every.day, every.asset)))
    single = np.ones(len(every.asset), dtype=np.bool_)  # a split comes first and wins the day
    single[1:] = (np.diff(every.asset) != 0) | (np.diff(every.day) != 0)
    return every.where(single)


def _planned_splits(traits: _Traits, sessions: Sessions, years: Ints, january: Ints) -> _Planned:
    key = traits.key[:, None]
    asset, year = np.nonzero(noise.uniform(key, _SPLIT, years) < 0.03)
    offset = (noise.uniform(key, _SPLIT_DAY, years) * 320).astype(np.int64)[asset, year]
    choices = np.where(traits.steady, _FORWARD_RATIOS, len(_RATIOS))[:, None]
    ratio = (noise.uniform(key, _RATIO, years) * choices).astype(np.int64)
    day = sessions.snap(january[year] + 20 + offset)
    return _Planned(asset.astype(np.int64), day, ratio[asset, year], np.zeros(len(asset)))


def _planned_dividends(
    traits: _Traits, sessions: Sessions, years: Ints, january: Ints, slot: int
) -> _Planned:
    """The dividends that are their payer's number `slot` of each year."""
    payers = np.flatnonzero(traits.payments > slot).astype(np.int64)
    key = traits.key[payers][:, None]
    index = years * 4 + slot
    offset = 365.0 / traits.payments[payers] * (slot + traits.phase[payers])
    jitter = (noise.uniform(key, _DIVIDEND_DAY, index) * 7).astype(np.int64)
    day = sessions.snap((january + offset.astype(np.int64)[:, None] + jitter).ravel())
    vary = 0.9 + 0.2 * noise.uniform(key, _DIVIDEND_SIZE, index)
    size = (traits.fraction[payers][:, None] * vary).ravel()
    asset = np.repeat(payers, len(years))
    return _Planned(asset, day, np.full(len(asset), -1, dtype=np.int64), size)


def _traits(listings: list[Listing], seed: int, scope: str) -> _Traits:
    key = noise.keys_of(seed, scope, [listing.code for listing in listings])
    count = len(listings)
    steady = np.array(
        [item.exchange == "US" and item.code in STEADY for item in listings], dtype=np.bool_
    )
    pence = np.array([item.currency == "GBX" for item in listings], dtype=np.bool_)
    delisted = np.array([item.delisted for item in listings], dtype=np.bool_)
    thin = np.array(
        [
            item.exchange == "F" or (item.exchange == "LSE" and item.code[0].isdigit())
            for item in listings
        ],
        dtype=np.bool_,
    )

    def u(stream: int) -> Floats:
        return noise.uniform(key, stream) if count else np.zeros(0)

    illiquid = (u(_ILLIQUID) < np.where(thin, 0.10, 0.03)) & ~steady
    per_year = np.array([0, 1, 2, 4])[np.searchsorted([0.45, 0.65, 0.75], u(_PAYER), side="right")]
    payments = np.where(illiquid, 0, per_year)
    yearly = 0.01 + 0.04 * u(_YIELD)
    sigma = (0.18 + 0.30 * u(_SIGMA)) / 365.0**0.5
    first, last = _life(u(_LISTED), u(_LISTED_ON), u(_LEFT_ON), delisted, steady)
    middle = np.log(np.where(pence, 250.0, 25.0))
    return _Traits(
        key=key,
        base=middle + 0.9 * (noise.normal(key, _BASE) if count else np.zeros(0)),
        drift=(np.where(payments > 0, yearly, 0.0) + 0.02 * u(_DRIFT)) / 365.0,
        sigma=sigma,
        volume=np.where(illiquid, 5.0, 8.0) + 6.0 * u(_VOLUME),
        scale=np.full(count, 1000.0 if scope == "F" else 100.0),
        first=first,
        last=last,
        payments=payments,
        fraction=yearly / np.maximum(payments, 1),
        phase=u(_PHASE),
        skipped=np.where(illiquid, 0.1 + 0.4 * u(_SKIP_SHARE), 0.0),
        flat=np.where(illiquid, 0.15, 0.0),
        steady=steady,
    )


def _life(
    kind: Floats, on: Floats, left: Floats, delisted: Bools, steady: Bools
) -> tuple[Ints, Ints]:
    """First and last day of each listing.

    A few have none at all; a few are new in autumn 2023, or in the years after it.
    """
    old, autumn, recent, dead = 0.45, 0.983, 0.986, 0.996
    first = np.where(kind < old, 0, on * to_day(date(2019, 6, 1))).astype(np.int64)
    first = np.where(kind >= autumn, to_day(date(2023, 8, 14)) + (on * 30).astype(np.int64), first)
    first = np.where(kind >= recent, to_day(date(2024, 1, 1)) + (on * 1826).astype(np.int64), first)
    first = np.where(kind >= dead, _NEVER, first)
    first = np.where(delisted & (kind >= old), (on * 3000).astype(np.int64), first)
    first = np.where(steady, 0, first)
    gone = to_day(date(2012, 1, 1)) + (left * 4000).astype(np.int64)
    return first.astype(np.int64), np.where(delisted, gone, _NEVER - 1).astype(np.int64)


def _continue_real(traits: _Traits, real: dict[int, RealBars]) -> _Traits:
    """Makes the made-up bars of real companies start where the real ones end."""
    base, first, volume = traits.base.copy(), traits.first.copy(), traits.volume.copy()
    for asset, bars in real.items():
        end = bars.day[-1:]
        key = traits.key[asset : asset + 1]
        level = traits.drift[asset] * end + traits.sigma[asset] * noise.walk(key, end)
        base[asset] = np.log(bars.close[-1]) - float(level[0])
        first[asset] = int(
            end[0]
        )  # neither bar nor action of that day is made up: see _joined and _make_actions
        volume[asset] = np.log(np.median(bars.volume[-60:]))
    return replace(traits, base=base, first=first, volume=volume)


def _joined(real: RealBars, low: int, high: int, made: Bars) -> Bars:
    """The real bars of the range, then the made-up ones after the last real day."""
    part = (real.day >= low) & (real.day <= high)
    rest = made.where(made.at > real.day[-1])
    return Bars(
        at=np.append(real.day[part], rest.at),
        open=np.append(real.open[part], rest.open),
        high=np.append(real.high[part], rest.high),
        low=np.append(real.low[part], rest.low),
        close=np.append(real.close[part], rest.close),
        adjusted=np.append(real.close[part], rest.adjusted),
        volume=np.append(real.volume[part], rest.volume),
    )


def _with_real(raw: Bars, asset: int, real: RealBars, day: int) -> Bars:
    """One day of all assets with a real company's bar in its place."""
    if day > int(real.day[-1]):
        return raw
    at = int(np.searchsorted(real.day, day))
    others = raw.where(raw.at != asset)
    if int(real.day[at]) != day:
        return others
    place = int(np.searchsorted(others.at, asset))

    def put(column: Floats, value: float) -> Floats:
        return np.insert(column, place, value)

    close = float(real.close[at])
    return Bars(
        at=np.insert(others.at, place, asset),
        open=put(others.open, float(real.open[at])),
        high=put(others.high, float(real.high[at])),
        low=put(others.low, float(real.low[at])),
        close=put(others.close, close),
        adjusted=put(others.adjusted, close),
        volume=put(others.volume, float(real.volume[at])),
    )


def _as_vendor(raw: Bars, adjust: Floats, split: Floats) -> Bars:
    return Bars(
        at=raw.at,
        open=raw.open,
        high=raw.high,
        low=raw.low,
        close=raw.close,
        adjusted=np.round(raw.close * adjust, 4),
        volume=np.rint(raw.volume * split),  # a real company's shares as traded are whole only now
    )


def _grained(value: Floats) -> Floats:
    return np.rint(value * _GRAIN) / _GRAIN


def _rounded(price: Floats, scale: Floats) -> Floats:
    """Prices below one have four decimals, and are never 0."""
    scale = np.where(price < 1.0, 10_000.0, scale)
    return np.maximum(np.rint(price * scale), 1.0) / scale


def _payable(amount: Floats) -> Floats:
    """Dividends have three decimals, small ones four, and are never 0."""
    scale = np.where(amount < 0.1, 10_000.0, 1_000.0)
    return np.maximum(np.rint(amount * scale), 1.0) / scale
