"""What one exchange shows at a moment: the market as published until then, with what scripted
events do to publication, bars, lists and holidays. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from screener_local.simulator import events as ev
from screener_local.simulator import noise
from screener_local.simulator.actions import Dividend, Seen, Split
from screener_local.simulator.events import Event
from screener_local.simulator.exchanges import Exchange
from screener_local.simulator.market import Bars, Bools, Market
from screener_local.simulator.noise import Ints
from screener_local.simulator.roll import Names
from screener_local.simulator.sessions import Sessions
from screener_local.simulator.universe import Listing

_COLUMNS = {"adjusted_close": "adjusted"}


@dataclass(frozen=True)
class Touch:
    """An event, and the asset that it is about; None: all of the exchange."""

    event: Event
    asset: int | None


@dataclass(frozen=True)
class Publication:
    """Which sessions are out at a moment. `visible` is the last of them, -1 for none; `hidden` are
    earlier ones that are not, `closed` days on which the exchange did not open after all.
    """

    visible: int
    hidden: frozenset[int]
    closed: frozenset[int]


def publication(sessions: Sessions, events: Sequence[Event], now: datetime) -> Publication:
    """What is published at `now`, early and late sessions considered."""
    at = int(now.timestamp())
    times = sessions.published
    closed = frozenset(event.low for event in events if event.kind == ev.CLOSED)
    late = [event for event in events if event.kind == ev.LATE and not event.mended(now)]
    if not late and not closed:
        count = sessions.visible(now)
        return Publication(int(sessions.days[count - 1]) if count else -1, frozenset(), closed)
    out = times <= at
    for event in late:
        chosen = (sessions.days >= event.low) & (sessions.days <= event.high)
        hours = event.say["hours"]
        out = np.where(chosen, False if hours is None else times + int(hours * 3600) <= at, out)
    out &= ~np.isin(sessions.days, list(closed))
    days = sessions.days[out]
    visible = int(days[-1]) if len(days) else -1
    hidden = sessions.days[~out & (sessions.days <= visible)]
    return Publication(visible, frozenset(hidden.tolist()), closed)


@dataclass(frozen=True)
class View:
    """One exchange as of a moment. `touches` are the events that change bars."""

    exchange: Exchange
    names: Names
    market: Market
    sessions: Sessions
    publication: Publication
    seen: Seen
    events: tuple[Event, ...]
    touches: tuple[Touch, ...]
    gaps: Mapping[int, list[tuple[int, int]]]
    now: datetime

    @property
    def visible(self) -> int:
        """The day of the last published session."""
        return self.publication.visible

    def find(self, code: str) -> int | None:
        """The asset's number, also where the case is wrong; None when not listed."""
        return self.names.find(code)

    def row(self, asset: int) -> Listing:
        """The asset's row of the list; it must be there."""
        found = self.names.rows[asset]
        if found is None:
            raise LookupError(f"asset {asset} is not listed")
        return found

    def listed(self) -> list[tuple[int, Listing]]:
        """Assets and rows of the whole list, delisted ones too, ascending by code."""
        rows = [(at, row) for at, row in enumerate(self.names.rows) if row is not None]
        return rows if not self.gaps and not self.events else sorted(rows, key=_by_code)

    def list_share(self) -> float:
        """How much of the list comes, from the start."""
        share = 1.0
        for event in self.events:
            since = event.say.get("from")
            begun = since is None or self.now >= since
            if event.kind == ev.TRUNCATED and begun and not event.mended(self.now):
                share = min(share, event.say["share"])
        return share

    def is_session(self, day: int) -> bool:
        """Whether the exchange opened, or will open."""
        return self.sessions.is_session(day) and day not in self.publication.closed

    def is_published(self, day: int) -> bool:
        return (
            day <= self.visible
            and self.sessions.is_session(day)
            and day not in self.publication.hidden
        )

    def last_published(self, before: int) -> int:
        """The last published session before a day, -1 for none."""
        days = self.sessions.days[self.sessions.days < min(before, self.visible + 1)]
        for day in days[::-1].tolist():
            if day not in self.publication.hidden:
                return int(day)
        return -1

    def history(self, asset: int, low: int, high: int) -> Bars:
        """Published bars of one asset with low ≤ day ≤ high, ascending."""
        bars = self.market.history(asset, low, high, self.seen)
        if not (self.touches or self.publication.hidden or self.gaps):
            return bars
        which = np.full(len(bars), asset, dtype=np.int64)
        bars = self._spoilt(bars, which, bars.at)
        for touch in self._added(asset):
            day = touch.event.low
            if low <= day <= min(high, self.visible) and day not in bars.at:
                bars = _inserted(bars, day, touch.event)
        return bars

    def day(self, day: int) -> Bars:
        """Published bars of one session, ascending by asset."""
        bars = self.market.day(day, self.seen)
        if not (self.touches or self.publication.hidden or self.gaps):
            return bars
        days = np.full(len(bars), day, dtype=np.int64)
        bars = self._spoilt(bars, bars.at, days)
        for touch in self._added(None):
            asset = touch.asset
            fits = touch.event.low == day and self.is_published(day)
            if asset is not None and fits and asset not in bars.at:
                bars = _inserted(bars, asset, touch.event)
        return bars

    def dividends(self, asset: int) -> list[Dividend]:
        """Listed dividends of one asset, ascending by ex-date."""
        return self.market.dividends(asset, self.seen)

    def splits(self, asset: int) -> list[Split]:
        """Listed splits of one asset, ascending by ex-date."""
        return self.market.splits(asset, self.seen)

    def dividends_on(self, day: int) -> list[Dividend]:
        """Listed dividends with that ex-date of what is there, ascending by asset."""
        found = self.market.dividends_on(day, self.seen)
        return [item for item in found if self.names.rows[item.asset] is not None]

    def splits_on(self, day: int) -> list[Split]:
        """Listed splits with that ex-date of what is there, ascending by asset."""
        found = self.market.splits_on(day, self.seen)
        return [item for item in found if self.names.rows[item.asset] is not None]

    # -- events ------------------------------------------------------------------------------------

    def _added(self, asset: int | None) -> list[Touch]:
        return [
            touch
            for touch in self.touches
            if touch.event.kind == ev.BAR
            and (asset is None or touch.asset == asset)
            and not touch.event.mended(self.now)
            and {"open", "high", "low", "close"} <= set(touch.event.say["set"])
        ]

    def _spoilt(self, bars: Bars, asset: Ints, day: Ints) -> Bars:
        """The bars, of these assets and days, as the events leave them."""
        keep = np.ones(len(bars), dtype=np.bool_)
        if self.publication.hidden:
            keep &= ~np.isin(day, list(self.publication.hidden))
        for gone, spans in self.gaps.items():
            for low, high in spans:
                keep &= ~((asset == gone) & (day >= low) & (day <= high))
        for touch in self.touches:
            event, say = touch.event, touch.event.say
            if event.mended(self.now):
                continue
            hit = (day >= event.low) & (day <= event.high)
            if touch.asset is not None:
                hit &= asset == touch.asset
            if not hit.any():
                continue
            if event.kind == ev.UNIT:
                bars = _scaled(bars, hit, say["factor"])
            elif event.kind == ev.BAR:
                bars = _set(bars, hit, say["set"])
            else:
                hit &= self._still(day, say["hours"])
                if event.kind == ev.VOLUME:
                    volume = np.where(hit, np.rint(bars.volume * say["factor"]), bars.volume)
                    bars = _with(bars, {"volume": volume})
                elif event.kind == ev.MISSING:
                    keep &= ~hit
                else:
                    keep &= ~hit | (self._place(asset) < say["share"])
        return bars if keep.all() else bars.where(keep)

    def _still(self, day: Ints, hours: float | None) -> Bools:
        """Of which days less than so many hours have gone since their publication."""
        if hours is None:
            return np.ones(len(day), dtype=np.bool_)
        return self.sessions.published_of(day) + int(hours * 3600) > int(self.now.timestamp())

    def _place(self, asset: Ints) -> noise.Floats:
        """Where in the order of a partial publication an asset comes, as a share."""
        keys = (asset + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return noise.uniform(keys, 2000)


def _by_code(item: tuple[int, Listing]) -> str:
    return item[1].code


def _with(bars: Bars, columns: Mapping[str, noise.Floats]) -> Bars:
    names = ("open", "high", "low", "close", "adjusted", "volume")
    return Bars(bars.at, *(columns.get(name, getattr(bars, name)) for name in names))


def _scaled(bars: Bars, hit: Bools, factor: float) -> Bars:
    """Prices in another unit."""
    names = ("open", "high", "low", "close", "adjusted")
    return _with(
        bars,
        {
            name: np.where(hit, np.round(getattr(bars, name) * factor, 4), getattr(bars, name))
            for name in names
        },
    )


def _set(bars: Bars, hit: Bools, values: Mapping[str, float]) -> Bars:
    columns = {}
    for field, value in values.items():
        name = _COLUMNS.get(field, field)
        columns[name] = np.where(hit, float(value), getattr(bars, name))
    return _with(bars, columns)


def _inserted(bars: Bars, at: int, event: Event) -> Bars:
    """The bars with one more, which an event says whole."""
    say = event.say["set"]
    values = {
        "adjusted": say.get("adjusted_close", say["close"]),
        "volume": say.get("volume", 0.0),
        **{name: say[name] for name in ("open", "high", "low", "close")},
    }
    place = int(np.searchsorted(bars.at, at))
    names = ("open", "high", "low", "close", "adjusted", "volume")
    return Bars(
        np.insert(bars.at, place, at),
        *(np.insert(getattr(bars, name), place, float(values[name])) for name in names),
    )
