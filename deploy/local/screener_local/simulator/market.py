"""Made-up and real bars of a whole exchange, with splits and dividends, as the vendor gives them.

Everything hangs on (seed, exchange, code, day), so any range of any asset and any day of all assets
can be computed alone and agree. Open to close are raw; `adjusted_close` and `volume` are rewritten
by every later action that is visible. Pure.

An action rewrites the history with its ex-date's session: then the last bar's adjusted_close is its
close, and earlier ones are not. It is listed the next morning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from screener_local.simulator import noise
from screener_local.simulator.actions import (
    NEVER,
    Dividend,
    Seen,
    Split,
    Table,
    dividends,
    dividends_of,
    factors,
    factors_of_day,
    seen_of,
    splits,
)
from screener_local.simulator.companies import RealAction, RealBars
from screener_local.simulator.events import ACTION, DIVIDEND, SPLIT, Event
from screener_local.simulator.faults import BadFault
from screener_local.simulator.noise import Floats, Ints, Keys
from screener_local.simulator.references import INDEX, LEVELS, RATE
from screener_local.simulator.sessions import EPOCH, Sessions, to_day
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
    _LIST_TIME,
) = range(1, 25)

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
_EPOCH_DAYS: Final = (EPOCH - date(1970, 1, 1)).days


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

    def where(self, keep: Bools | slice) -> Bars:
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
    splits: Bools


@dataclass(frozen=True)
class Given:
    """A real or made series that was handed in, for one code, ascending by day.

    With `adjusted` it is served as it is, volumes too; without, volumes are as traded, and the
    actions adjust both.
    """

    bars: Bars
    verbatim: bool
    actions: tuple[RealAction, ...] = ()


@dataclass(frozen=True)
class Scripted:
    """An event of an exchange's actions, and the asset that it is about; None: all of them."""

    asset: int | None
    event: Event


@dataclass(frozen=True)
class Script:
    """What is scripted of a market's assets, by their numbers. Days are both included."""

    life: Mapping[int, tuple[int | None, int | None]] = field(default_factory=dict)
    gaps: Mapping[int, list[tuple[int, int]]] = field(default_factory=dict)
    actions: tuple[Scripted, ...] = ()
    given: Mapping[int, Given] = field(default_factory=dict)
    next_morning: bool = True


class Market:
    """The bars and actions of one exchange's listings.

    Every question says when it is asked: `Seen`, or the last published session's day, which knows
    every action with its session.
    """

    def __init__(
        self,
        listings: list[Listing],
        sessions: Sessions,
        seed: int,
        real: dict[str, RealBars],
        script: Script | None = None,
    ) -> None:
        script = script or Script()
        self.sessions = sessions
        self._script = script
        self.index = {listing.code: number for number, listing in enumerate(listings)}
        scope = listings[0].exchange if listings else ""
        traits = _traits(listings, seed, scope)
        self._given = {asset: given.bars for asset, given in script.given.items() if given.verbatim}
        self._real = {self.index[code]: bars for code, bars in real.items() if code in self.index}
        traits = _continue_real(traits, self._real)
        derived = {a: given for a, given in script.given.items() if not given.verbatim}
        self._real |= {asset: _as_real(given) for asset, given in derived.items()}
        self._traits = _with_lives(traits, script)
        actions = {asset: real.actions for asset, real in self._real.items()}
        actions |= {asset: given.actions for asset, given in script.given.items()}
        self.actions = self._make_actions(actions, script)
        # What is known changes at these moments only; most questions come between the same two.
        self._times: Ints | None = None
        self._last_seen: tuple[tuple[int, int], Seen] | None = None

    @property
    def size(self) -> int:
        """How many assets there are."""
        return len(self._traits.first)

    # -- asking ------------------------------------------------------------------------------------

    def seen(self, visible: int, at: int | None = None) -> Seen:
        """What is known at `at`, seconds since 1970."""
        if at is None:
            return seen_of(self.actions, visible, at)
        if self._times is None:
            self._times = self.actions.times()
        between = (visible, int(np.searchsorted(self._times, at, side="right")))
        if self._last_seen is None or self._last_seen[0] != between:
            self._last_seen = (between, seen_of(self.actions, visible, at))
        return self._last_seen[1]

    def history(self, asset: int, low: int, high: int, when: Seen | int) -> Bars:
        """Bars of one asset with low ≤ day ≤ high, ascending."""
        seen = self._seen(when)
        high = min(high, seen.visible)
        given = self._given.get(asset)
        if given is not None:
            return given.where((given.at >= low) & (given.at <= high))
        raw = self._bars(asset, low, high, self.actions)
        adjust, split = factors(self.actions, seen, asset, raw.at)
        return _as_vendor(raw, adjust, split)

    def day(self, day: int, when: Seen | int) -> Bars:
        """Bars of one session of all assets, ascending by asset.

        Equal to what `history` gives for that day.
        """
        seen = self._seen(when)
        which = np.arange(self.size, dtype=np.int64)
        if day > seen.visible or not self.sessions.is_session(day):
            which = which[:0]
        raw = self._raw(which, np.full(len(which), day, dtype=np.int64), self.actions, by_day=True)
        if not len(which):
            return raw
        for asset, real in self._real.items():
            if day <= int(real.day[-1]):
                raw = _placed(raw, asset, _real_bars(real, day, day))
        adjust, split = factors_of_day(self.actions, seen, day, self.size)
        bars = _as_vendor(raw, adjust[raw.at], split[raw.at])
        for asset, given in self._given.items():
            bars = _placed(bars, asset, given.where(given.at == day))
        return bars

    def dividends(self, asset: int, when: Seen | int) -> list[Dividend]:
        """Dividends of one asset, ascending by ex-date."""
        return dividends_of(self.actions, self._seen(when), asset)

    def splits(self, asset: int, when: Seen | int) -> list[Split]:
        """Splits of one asset, ascending by ex-date."""
        rows = self.actions.rows_of(asset)
        return splits(self.actions, self._seen(when), np.arange(rows.start, rows.stop))

    def dividends_on(self, day: int, when: Seen | int) -> list[Dividend]:
        """Dividends with that ex-date of all assets, ascending by asset."""
        return dividends(self.actions, self._seen(when), np.flatnonzero(self.actions.day == day))

    def splits_on(self, day: int, when: Seen | int) -> list[Split]:
        """Splits with that ex-date of all assets, ascending by asset."""
        return splits(self.actions, self._seen(when), np.flatnonzero(self.actions.day == day))

    def _seen(self, when: Seen | int) -> Seen:
        return self.seen(when) if isinstance(when, int) else when

    # -- actions -----------------------------------------------------------------------------------

    def _make_actions(self, real: Mapping[int, tuple[RealAction, ...]], script: Script) -> Table:
        planned = _planned(self._traits, self.sessions)
        for asset, spans in script.gaps.items():
            for low, high in spans:
                gone = (planned.asset == asset) & (planned.day >= low) & (planned.day <= high)
                planned = planned.where(~gone)
        parts = [self._computed(planned)]
        for asset, actions in real.items():
            parts += [_real_part(asset, action, self._close_of(asset)) for action in actions]
        table = self._table(parts, script)
        table = _with_currencies(table, script.given)
        extras: dict[int, list[Event]] = {}
        for item in script.actions:
            if item.event.kind in (SPLIT, DIVIDEND) and item.asset is not None:
                extras.setdefault(item.asset, []).append(item.event)
        if extras:
            touched = np.isin(table.asset, list(extras))
            made = [self._with_extras(asset, planned, table, extras[asset]) for asset in extras]
            table = _merged([table.where(~touched, self.size), *made], self.size)
        for item in script.actions:
            if item.event.kind == ACTION:
                table = _spoilt(table, item)
        return table

    def _computed(self, planned: _Planned) -> _Part:
        """Made-up actions, with the amounts that their prices make of the dividends."""
        asset, day, size = planned.asset, planned.day, planned.size
        is_split = planned.size == 0
        log_split = _grained(np.log(planned.new / planned.old))
        log_step = np.where(is_split, -log_split, _grained(np.log1p(-size)))
        start = np.searchsorted(asset, np.arange(self.size + 1))
        total = np.cumsum(log_step)
        before = total - log_step - np.append(0.0, total)[start[asset]]
        raw = self._continuous(asset, self.sessions.before(day)) * np.exp(before)
        close = _rounded(raw, self._traits.scale[asset])
        amount = np.where(is_split, 0.0, _payable(close * size))
        return _Part(asset, day, planned.new, planned.old, amount, close, log_step, log_split)

    def _table(self, parts: list[_Part], script: Script) -> Table:
        asset, day, new, old, amount, close, log_step, log_split = (
            np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(_Part)
        )
        order = np.lexsort((day, asset))
        asset, day, amount = asset[order], day[order], amount[order]
        new, old = new[order], old[order]
        is_split = amount == 0
        count = len(order)
        apply_at = self.sessions.published_of(day)
        list_at = apply_at
        if script.next_morning:
            spread = noise.uniform(self._traits.key[asset], _LIST_TIME, day) * 7200.0
            list_at = _midnight(day + 1) + 7200 + spread.astype(np.int64)
        return Table(
            asset=asset,
            day=day,
            is_split=is_split,
            new=new,
            old=old,
            amount=amount,
            paid=amount,
            currency=np.full(count, -1, dtype=np.int64),
            factor=np.where(is_split, old / new, 1.0 - amount / close[order]),
            split=new / old,
            log_step=log_step[order],
            log_split=log_split[order],
            list_at=list_at,
            apply_at=apply_at,
            gone_at=np.full(count, NEVER, dtype=np.int64),
            scale=np.ones(count),
            wrong_until=np.zeros(count, dtype=np.int64),
            scale_applied=np.zeros(count, dtype=np.bool_),
            start=np.searchsorted(asset, np.arange(self.size + 1)),
        )

    def _with_extras(
        self, asset: int, planned: _Planned, table: Table, extras: list[Event]
    ) -> Table:
        """The asset's actions with the scripted ones, which take the days of made-up ones; one
        after the other, for each changes the prices that the next one is a share of.
        """
        days = [event.low for event in extras]
        mine = planned.where((planned.asset == asset) & ~np.isin(planned.day, days))
        rows = np.zeros(len(table.asset), dtype=np.bool_)
        rows[table.rows_of(asset)] = True
        real = rows & (table.log_step == 0) & (table.log_split == 0)
        kept: list[Table] = [table.where(real, self.size)] if real.any() else []
        added: list[tuple[Event, float, float, float]] = []
        for event in sorted(extras, key=lambda event: event.low):
            self._refuse_impossible(asset, event)
            so_far = self._asset_table(asset, mine, kept, added)
            bars = self._bars(asset, event.low - 90, event.low - 1, so_far)
            close = float(bars.close[-1]) if len(bars) else float("nan")
            amount = 0.0
            if event.kind == DIVIDEND:
                of_close = float(_payable(np.array([close * (event.say["yield"] or 0.0)]))[0])
                amount = of_close if event.say["amount"] is None else event.say["amount"]
                if not amount < close:
                    raise BadFault(f"amount: {event.code}.{event.exchange} is worth {close:g} then")
            added.append((event, close, amount, amount / close if amount else 0.0))
        return self._asset_table(asset, mine, kept, added)

    def _refuse_impossible(self, asset: int, event: Event) -> None:
        real = self._real.get(asset)
        fixed = asset in self._given or (real is not None and event.low <= int(real.day[-1]))
        if fixed and event.say["real"]:
            raise BadFault(
                f"real: the bars of {event.code}.{event.exchange} are given; "
                "an action can only be listed or adjusted for, with real false"
            )

    def _asset_table(
        self,
        asset: int,
        mine: _Planned,
        kept: list[Table],
        added: list[tuple[Event, float, float, float]],
    ) -> Table:
        steps = [
            _Planned(
                np.array([asset], dtype=np.int64),
                np.array([event.low], dtype=np.int64),
                np.array([event.say["ratio"][0] if event.kind == SPLIT else 1.0]),
                np.array([event.say["ratio"][1] if event.kind == SPLIT else 1.0]),
                np.array([size]),
            )
            for event, _, _, size in added
            if event.say["real"]
        ]
        every = _joined_plans([mine, *steps])
        part = self._computed(every)
        scripted = np.isin(part.day, [event.low for event, _, _, _ in added])
        parts = [self._table([part.where(~scripted)], self._script)]
        parts += [self._extra(asset, *item) for item in added]
        return _merged([*kept, *parts], self.size)

    def _extra(self, asset: int, event: Event, close: float, amount: float, size: float) -> Table:
        """The row of one scripted action."""
        say, is_split = event.say, event.kind == SPLIT
        new, old = say["ratio"] if is_split else (1.0, 1.0)
        log_split = float(_grained(np.log(np.array([new / old])))[0]) if say["real"] else 0.0
        fall = float(_grained(np.log1p(np.array([-size])))[0]) if say["real"] else 0.0
        part = _Part(
            np.array([asset], dtype=np.int64),
            np.array([event.low], dtype=np.int64),
            np.array([float(new)]),
            np.array([float(old)]),
            np.array([amount]),
            np.array([close]),
            np.array([-log_split if is_split else fall]),
            np.array([log_split]),
        )
        table = self._table([part], self._script)
        until = NEVER if event.until is None else int(event.until.timestamp())
        changes: dict[str, Any] = {
            "list_at": _moved(table.list_at, say["list_hours"] if say["listed"] else None, until),
            "apply_at": _moved(
                table.apply_at, say["adjust_hours"] if say["adjusted"] else None, until
            ),
        }
        if not say["real"]:
            changes["gone_at"] = np.array([until], dtype=np.int64)
        if say.get("listed_amount") is not None:
            changes["paid"] = np.array([say["listed_amount"]])
        if say.get("currency") is not None:
            changes["currency"] = np.zeros(1, dtype=np.int64)
            changes["currencies"] = (say["currency"],)
        return replace(table, **changes)

    def _close_of(self, asset: int) -> Bars:
        """The fixed bars of an asset."""
        given = self._given.get(asset)
        if given is not None:
            return given
        real = self._real[asset]
        return _real_bars(real, int(real.day[0]), int(real.day[-1]))

    # -- bars --------------------------------------------------------------------------------------

    def _bars(self, asset: int, low: int, high: int, table: Table) -> Bars:
        """Raw bars of one asset, volume as traded but for those that are given."""
        given = self._given.get(asset)
        if given is not None:
            return given.where((given.at >= low) & (given.at <= high))
        days = self.sessions.days
        first, last = np.searchsorted(days, low), np.searchsorted(days, high, side="right")
        days = days[first:last]
        raw = self._raw(np.full(len(days), asset, dtype=np.int64), days, table)
        real = self._real.get(asset)
        return raw if real is None else _joined(real, low, high, raw)

    def _continuous(self, asset: Ints, day: Ints) -> Floats:
        """The price without its actions."""
        traits = self._traits
        value: Floats = np.exp(
            traits.base[asset]
            + traits.drift[asset] * day
            + traits.sigma[asset] * noise.walk(traits.key[asset], day)
        )
        return value

    def _steps(
        self, asset: Ints, day: Ints, table: Table, *, by_day: bool
    ) -> tuple[Floats, Floats]:
        """What the actions up to each day made of the price and of the share count."""
        if by_day:
            done = table.day <= (day[0] if len(day) else -1)
            price = np.bincount(table.asset[done], table.log_step[done], self.size)
            shares = np.bincount(table.asset[done], table.log_split[done], self.size)
            return np.exp(price[asset]), np.exp(shares[asset])
        rows = table.rows_of(int(asset[0])) if len(asset) else slice(0, 0)
        at = np.searchsorted(table.day[rows], day, side="right")
        price = np.append(0.0, np.cumsum(table.log_step[rows]))
        shares = np.append(0.0, np.cumsum(table.log_split[rows]))
        return np.exp(price[at]), np.exp(shares[at])

    def _raw(self, asset: Ints, day: Ints, table: Table, *, by_day: bool = False) -> Bars:
        """Raw made-up bars for pairs of asset and session: of one asset, or `by_day` of one day.

        `at` is the day, or the asset. `adjusted` is still the close, `volume` as traded.
        """
        traits = self._traits
        traded = (day >= traits.first[asset]) & (day <= traits.last[asset])
        traded &= noise.uniform(traits.key[asset], _SKIPPED, day) >= traits.skipped[asset]
        asset, day = asset[traded], day[traded]
        key, sigma, scale = traits.key[asset], traits.sigma[asset], traits.scale[asset]
        step, shares = self._steps(asset, day, table, by_day=by_day)
        before = np.maximum(day - 1, 0)
        if by_day:
            close, opened = self._continuous(asset, day), self._continuous(asset, before)
        else:
            days, place = np.unique(np.concatenate([day, before]), return_inverse=True)
            both = self._continuous(asset[:1], days)[place] if len(days) else np.zeros(0)
            close, opened = both[: len(day)], both[len(day) :]
        close = close * step
        opened = opened * step * np.exp(0.3 * sigma * noise.normal(key, _GAP, day))
        high = np.maximum(opened, close) * np.exp(0.5 * sigma * np.abs(noise.normal(key, _UP, day)))
        low = np.minimum(opened, close) * np.exp(
            -0.5 * sigma * np.abs(noise.normal(key, _DOWN, day))
        )
        volume = np.exp(traits.volume[asset] + 0.5 * noise.normal(key, _TURNOVER, day)) * shares
        close, opened, high, low = (_rounded(price, scale) for price in (close, opened, high, low))
        flat = noise.uniform(key, _FLAT, day) < traits.flat[asset]
        return Bars(
            at=asset if by_day else day,
            open=np.where(flat, close, opened),
            high=np.where(flat, close, np.maximum.reduce([high, opened, close])),
            low=np.where(flat, close, np.minimum.reduce([low, opened, close])),
            close=close,
            adjusted=close,
            volume=np.where(
                flat | (traits.volume[asset] < 0), 0.0, np.maximum(np.rint(volume), 1.0)
            ),
        )


@dataclass(frozen=True)
class _Planned:
    """When made-up actions happen, ascending by asset and day, one an asset and day.

    A split of `new` for `old` shares has size 0; a dividend is a `size` of the price, 1 for 1.
    """

    asset: Ints
    day: Ints
    new: Floats
    old: Floats
    size: Floats

    def where(self, keep: Any) -> _Planned:
        return _Planned(*(getattr(self, item.name)[keep] for item in fields(self)))


@dataclass(frozen=True)
class _Part:
    """Actions with their amounts; `close` is the one before the ex-date."""

    asset: Ints
    day: Ints
    new: Floats
    old: Floats
    amount: Floats
    close: Floats
    log_step: Floats
    log_split: Floats

    def where(self, keep: Any) -> _Part:
        return _Part(*(getattr(self, item.name)[keep] for item in fields(self)))


def _joined_plans(parts: list[_Planned]) -> _Planned:
    every = _Planned(
        *(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(_Planned))
    )
    return every.where(np.lexsort((every.day, every.asset)))


def _real_part(asset: int, action: RealAction, bars: Bars) -> _Part:
    """A real action, which the bars already contain."""
    before = int(np.searchsorted(bars.at, action.day)) - 1
    close = float(bars.close[before]) if before >= 0 else float("inf")
    values = (action.new, action.old, action.amount, close, 0.0, 0.0)
    return _Part(
        np.array([asset], dtype=np.int64),
        np.array([action.day], dtype=np.int64),
        *(np.array([value]) for value in values),
    )


def _with_currencies(table: Table, given: Mapping[int, Given]) -> Table:
    """The table with the currencies of dividends that were handed in."""
    named = sorted({a.currency for item in given.values() for a in item.actions if a.currency})
    currency = table.currency.copy()
    for asset, item in given.items():
        for action in item.actions:
            if action.currency:
                rows = (table.asset == asset) & (table.day == action.day) & ~table.is_split
                currency[rows] = named.index(action.currency)
    return replace(table, currency=currency, currencies=tuple(named))


def _merged(tables: list[Table], assets: int) -> Table:
    """One table of the rows of several."""
    names: list[str] = []
    columns: dict[str, list[Any]] = {}
    for table in tables:
        for item in fields(Table):
            if item.name not in ("start", "currencies"):
                columns.setdefault(item.name, []).append(getattr(table, item.name))
        shift = len(names)
        places = columns["currency"][-1]
        columns["currency"][-1] = np.where(places >= 0, places + shift, places)
        names += table.currencies
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    order = np.lexsort((joined["day"], joined["asset"]))
    joined = {name: column[order] for name, column in joined.items()}
    start = np.searchsorted(joined["asset"], np.arange(assets + 1))
    return Table(**joined, start=start, currencies=tuple(names))


def _spoilt(table: Table, item: Scripted) -> Table:
    """The table with what a script says of actions that are there anyway."""
    event, say = item.event, item.event.say
    chosen = (table.day >= event.low) & (table.day <= event.high)
    if item.asset is not None:
        chosen &= table.asset == item.asset
    if not chosen.any() and item.asset is not None:
        raise BadFault(f"session: {event.code}.{event.exchange} has no action then")
    until = NEVER if event.until is None else int(event.until.timestamp())

    def put(column: Any, value: Any) -> Any:
        return np.where(chosen, value, column)

    return replace(
        table,
        list_at=put(table.list_at, _moved(table.list_at, say["list_hours"], until)),
        apply_at=put(table.apply_at, _moved(table.apply_at, say["adjust_hours"], until)),
        scale=put(table.scale, say["factor"]),
        wrong_until=put(table.wrong_until, until if say["factor"] != 1.0 else 0),
        scale_applied=put(table.scale_applied, say["adjusted"]),
    )


def _moved(times: Ints, hours: float | None, until: int) -> Ints:
    """Moments so many hours later, None: never; but never later than `until`."""
    moved = np.full(len(times), NEVER) if hours is None else times + int(hours * 3600)
    return np.minimum(moved, np.maximum(until, times))


def _midnight(day: Ints) -> Ints:
    """Seconds since 1970 of the day's first moment."""
    return (day + _EPOCH_DAYS) * 86_400


def _planned(traits: _Traits, sessions: Sessions) -> _Planned:
    """Splits and dividends of all assets, on sessions after the asset's first bar."""
    years = np.arange(2000, 2001 + int(sessions.days[-1]) // 365, dtype=np.int64)
    january = np.array([to_day(date(int(year), 1, 1)) for year in years], dtype=np.int64)
    parts = [_planned_splits(traits, sessions, years, january)]
    parts += [_planned_dividends(traits, sessions, years, january, slot) for slot in range(4)]
    every = _Planned(
        *(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(_Planned))
    )
    listed = sessions.before(every.day) >= traits.first[every.asset]
    every = every.where(listed & (every.day <= traits.last[every.asset]) & (every.day > 0))
    every = every.where(np.lexsort((every.size, every.day, every.asset)))
    single = np.ones(len(every.asset), dtype=np.bool_)  # a split comes first and wins the day
    single[1:] = (np.diff(every.asset) != 0) | (np.diff(every.day) != 0)
    return every.where(single)


def _planned_splits(traits: _Traits, sessions: Sessions, years: Ints, january: Ints) -> _Planned:
    key = traits.key[:, None]
    often = np.where(traits.splits, 0.03, 0.0)[:, None]
    asset, year = np.nonzero(noise.uniform(key, _SPLIT, years) < often)
    offset = (noise.uniform(key, _SPLIT_DAY, years) * 320).astype(np.int64)[asset, year]
    choices = np.where(traits.steady, _FORWARD_RATIOS, len(_RATIOS))[:, None]
    ratio = (noise.uniform(key, _RATIO, years) * choices).astype(np.int64)[asset, year]
    day = sessions.snap(january[year] + 20 + offset)
    new, old = _RATIOS[ratio, 0], _RATIOS[ratio, 1]
    return _Planned(asset.astype(np.int64), day, new, old, np.zeros(len(asset)))


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
    return _Planned(asset, day, np.ones(len(asset)), np.ones(len(asset)), size)


def _traits(listings: list[Listing], seed: int, scope: str) -> _Traits:
    key = noise.keys_of(seed, scope, [listing.born for listing in listings])
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
    made = _Traits(
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
        splits=np.ones(count, dtype=np.bool_),
    )
    return _as_references(made, listings)


def _as_references(traits: _Traits, listings: list[Listing]) -> _Traits:
    """Indices and rates of exchange: at their level, without actions, traded on every session."""
    is_rate = np.array([item.type == RATE for item in listings], dtype=np.bool_)
    is_either = is_rate | np.array([item.type == INDEX for item in listings], dtype=np.bool_)
    if not is_either.any():
        return traits
    level = np.array([LEVELS.get(item.code, 1000.0) for item in listings])
    return replace(
        traits,
        base=np.where(is_either, np.log(level), traits.base),
        drift=np.where(is_either, np.where(is_rate, 0.0, 0.03 / 365.0), traits.drift),
        sigma=np.where(is_either, np.where(is_rate, 0.05, 0.12) / 365.0**0.5, traits.sigma),
        volume=np.where(is_either, np.where(is_rate, -1.0, 19.0), traits.volume),
        scale=np.where(is_rate, 10_000.0, traits.scale),
        first=np.where(is_either, 0, traits.first),
        last=np.where(is_either, _NEVER - 1, traits.last),
        payments=np.where(is_either, 0, traits.payments),
        skipped=np.where(is_either, 0.0, traits.skipped),
        flat=np.where(is_either, 0.0, traits.flat),
        splits=~is_either,
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


def _real_bars(real: RealBars, low: int, high: int) -> Bars:
    part = (real.day >= low) & (real.day <= high)
    close = real.close[part]
    return Bars(
        real.day[part],
        real.open[part],
        real.high[part],
        real.low[part],
        close,
        close,
        real.volume[part],
    )


def _placed(day: Bars, asset: int, own: Bars) -> Bars:
    """One day of all assets with an asset's own bar, or none, in the place of its made-up one."""
    others = day.where(day.at != asset)
    place = int(np.searchsorted(others.at, asset))
    if not len(own):
        return others
    return Bars(
        np.insert(others.at, place, asset),
        *(
            np.insert(getattr(others, item.name), place, getattr(own, item.name)[0])
            for item in fields(Bars)[1:]
        ),
    )


def _as_real(given: Given) -> RealBars:
    bars = given.bars
    return RealBars(bars.at, bars.open, bars.high, bars.low, bars.close, bars.volume, given.actions)


def _with_lives(traits: _Traits, script: Script) -> _Traits:
    """The traits with scripted first and last days; what is given has no made-up bars at all."""
    first, last = traits.first.copy(), traits.last.copy()
    for asset, (begins, ends) in script.life.items():
        if begins is not None:
            first[asset] = begins
            last[asset] = _NEVER - 1
        if ends is not None:
            last[asset] = min(int(last[asset]), ends)
    for asset in script.given:
        first[asset] = _NEVER
    return replace(traits, first=first, last=last)


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
