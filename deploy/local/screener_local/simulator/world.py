"""The vendor's data as of its data clock: exchanges, listings, sessions, markets, scripted events
and given series put together, made when first asked for.

Reads the code lists and the companies' file; otherwise pure. Not safe for several threads at once:
the server asks from one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Final

from screener_local.simulator import events as ev
from screener_local.simulator import references
from screener_local.simulator import sessions as calendar
from screener_local.simulator.companies import RealBars, load_companies
from screener_local.simulator.events import Event
from screener_local.simulator.exchanges import EXCHANGES, Exchange
from screener_local.simulator.faults import BadFault
from screener_local.simulator.market import Given, Market, Script, Scripted
from screener_local.simulator.roll import Change, Roll, compile_roll
from screener_local.simulator.series import Series
from screener_local.simulator.sessions import to_date
from screener_local.simulator.shown import Touch, View, publication
from screener_local.simulator.universe import COMMON, Listing, listings

_TOUCHES: Final = (ev.PARTIAL, ev.MISSING, ev.VOLUME, ev.BAR, ev.UNIT)
_OF_ACTIONS: Final = (ev.SPLIT, ev.DIVIDEND, ev.ACTION)


@dataclass(frozen=True)
class _Staged:
    """An exchange with what is scripted for it."""

    events: tuple[Event, ...]
    roll: Roll
    touches: tuple[Touch, ...]
    actions: tuple[Scripted, ...]
    given: dict[int, Given]


@dataclass
class World:
    """`tickers` is the folder of code lists or None; `companies` the file of real bars or None;
    `us_rows` how many listings `US` has in all, None for few beyond its common stocks.
    `next_morning` lists actions in the night after their session, else with it.
    """

    seed: int
    tickers: Path | None
    companies: Path | None
    us_rows: int | None = None
    next_morning: bool = True
    _events: tuple[Event, ...] = ()
    _series: dict[tuple[str, str], Series] = field(default_factory=dict)
    _listings: dict[str, list[Listing]] = field(default_factory=dict)
    _staged: dict[Exchange, _Staged] = field(default_factory=dict)
    _plain: dict[tuple[Exchange, int, bool], Market] = field(default_factory=dict)
    _markets: dict[tuple[Exchange, int], Market] = field(default_factory=dict)
    _views: dict[Exchange, View] = field(default_factory=dict)
    _real: dict[str, RealBars] | None = None

    def script(self, events: Sequence[Event], now: datetime) -> None:
        """Puts events in the place of those before. Raises BadFault, and then changes nothing,
        where one names what there is not.
        """
        before = self._events
        try:
            self._set(tuple(events))
            for code in {event.exchange for event in events if event.exchange}:
                if code not in EXCHANGES:
                    raise BadFault(f"exchange: the vendor has no {code}")
                self.view(EXCHANGES[code], now)
        except Exception:
            self._set(before)
            raise

    def give(self, series: Sequence[Series]) -> list[str]:
        """Takes series in; the tickers of all that are given."""
        self._series |= {(item.exchange, item.code): item for item in series}
        self._set(self._events)
        return sorted(f"{code}.{exchange}" for exchange, code in self._series)

    def reset(self) -> None:
        """Without events and given series."""
        self._series = {}
        self._set(())

    def _set(self, events: tuple[Event, ...]) -> None:
        self._events = events
        self._staged.clear()
        self._markets.clear()
        self._views.clear()

    def view(self, exchange: Exchange, now: datetime) -> View:
        """The exchange as of `now`."""
        kept = self._views.get(exchange)
        if kept is not None and kept.now == now:
            return kept
        staged = self._stage(exchange)
        last_year = max(now, datetime.now(UTC)).year + 1
        days = calendar.load(exchange, last_year)
        market = self._market(exchange, staged, last_year)
        out = publication(days, staged.events, now)
        view = View(
            exchange,
            staged.roll.names(now),
            market,
            days,
            out,
            market.seen(out.visible, int(now.timestamp())),
            staged.events,
            staged.touches,
            staged.roll.gaps,
            now,
        )
        self._views[exchange] = view
        return view

    def changes(self, now: datetime) -> list[Change]:
        """The renamings in `US` until `now`."""
        return self._stage(EXCHANGES["US"]).roll.changes(now)

    # -- putting together --------------------------------------------------------------------------

    def _base(self, exchange: Exchange) -> list[Listing]:
        if exchange.code in references.PSEUDO:
            return references.MARKETS[exchange]
        if exchange.code not in self._listings:
            size = self.us_rows if exchange.code == "US" else None
            self._listings[exchange.code] = listings(exchange, self.tickers, size)
        return self._listings[exchange.code]

    def _stage(self, exchange: Exchange) -> _Staged:
        if exchange not in self._staged:
            self._staged[exchange] = self._put_together(exchange)
        return self._staged[exchange]

    def _put_together(self, exchange: Exchange) -> _Staged:
        mine = tuple(event for event in self._events if event.exchange == exchange.code)
        base = list(self._base(exchange))
        index = {row.code: at for at, row in enumerate(base)}
        given: dict[int, Given] = {}
        for (suffix, code), series in self._series.items():
            if suffix != exchange.code:
                continue
            at = index.setdefault(code, len(base))
            if at == len(base):
                base.append(replace(base[0], code=code, name=code, isin=None, type=COMMON))
            texts = {"currency": series.currency, "name": series.name, "type": series.type}
            known = {name: value for name, value in texts.items() if value is not None}
            base[at] = replace(base[at], delisted=False, **known)
            given[at] = series.given
        roll = compile_roll(base, mine)
        touches = [Touch(event, _asset_of(roll, event)) for event in mine if event.kind in _TOUCHES]
        actions = [
            Scripted(_asset_of(roll, event), event) for event in mine if event.kind in _OF_ACTIONS
        ]
        return _Staged(mine, roll, tuple(touches), tuple(actions), given)

    def _market(self, exchange: Exchange, staged: _Staged, last_year: int) -> Market:
        real = self._companies() if exchange.code == "US" else {}
        choice = [event.say["when"] for event in self._events if event.kind == ev.ACTIONS]
        next_morning = choice[-1] == "next_morning" if choice else self.next_morning
        roll = staged.roll
        days = calendar.load(exchange, last_year)
        if not (roll.life or roll.gaps or staged.actions or staged.given):
            plain = (exchange, last_year, next_morning)
            if plain not in self._plain:
                script = Script(next_morning=next_morning)
                self._plain[plain] = Market(roll.rows, days, self.seed, real, script)
            return self._plain[plain]
        key = (exchange, last_year)
        if key not in self._markets:
            script = Script(roll.life, roll.gaps, staged.actions, staged.given, next_morning)
            kept = {row.code for at, row in enumerate(roll.rows) if at not in staged.given}
            bars = {code: item for code, item in real.items() if code in kept}
            self._markets[key] = Market(roll.rows, days, self.seed, bars, script)
        return self._markets[key]

    def _companies(self) -> dict[str, RealBars]:
        if self._real is None:
            self._real = load_companies(self.companies) if self.companies is not None else {}
        return self._real


def _asset_of(roll: Roll, event: Event) -> int | None:
    """The asset that an event's ticker named on its day. Raises BadFault."""
    if event.code is None:
        return None
    day = max(event.low, 0)
    moment = datetime.combine(to_date(day), time(23, 59, 59), UTC)
    found = roll.names(moment).index.get(event.code)
    if found is None:
        raise BadFault(f"ticker: {event.code}.{event.exchange} is not listed then")
    return found
