"""Which listings an exchange has at a moment, and under which codes: the base list and the scripted
events of the universe. Pure.

An asset keeps its number for ever; what changes is its code and what its row of the list says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from functools import cached_property
from typing import Any, Final

from screener_local.simulator import events as ev
from screener_local.simulator.events import Event
from screener_local.simulator.faults import BadFault
from screener_local.simulator.sessions import to_date, to_day
from screener_local.simulator.universe import COMMON, Listing

_KINDS: Final = (ev.LISTING, ev.DELISTING, ev.RENAME, ev.REUSE, ev.CHANGE)
_FIELD_NAMES: Final = {
    "Name": "name",
    "Country": "country",
    "Exchange": "venue",
    "Currency": "currency",
    "Type": "type",
    "Isin": "isin",
}


@dataclass(frozen=True)
class Names:
    """The list at a moment. `rows` by asset number; None where the asset is not there, not yet or
    not any more. `index` has every code that answers.
    """

    rows: list[Listing | None]
    index: dict[str, int]

    def find(self, code: str) -> int | None:
        """The asset's number, also where the case is wrong."""
        return self.index.get(code, self.index.get(code.upper()))


@dataclass(frozen=True)
class Change:
    """A renaming that the vendor's history of symbol changes tells."""

    day: int
    old: str
    new: str
    name: str


@dataclass(frozen=True)
class Roll:
    """`rows` are the assets as they were born, the scripted ones last. `life` has the first and
    last day of those whose life is scripted, `gaps` the days on which an asset is not listed.
    """

    rows: list[Listing]
    life: dict[int, tuple[int | None, int | None]] = field(default_factory=dict)
    gaps: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    _steps: list[tuple[int, Event, int, int]] = field(default_factory=list)

    @cached_property
    def _plain(self) -> Names:
        return Names(list(self.rows), {row.code: at for at, row in enumerate(self.rows)})

    def names(self, now: datetime) -> Names:
        """The list as of `now`."""
        if not self._steps:
            return self._plain
        today = to_day(now.date())
        rows: list[Listing | None] = list(self.rows)
        for _, _, _, born in self._steps:
            if born >= 0:
                rows[born] = None
        index = {row.code: at for at, row in enumerate(rows) if row is not None}
        for day, event, asset, born in self._steps:
            if day <= today:
                self._apply(rows, index, event, asset, born, now)
        return Names(rows, index)

    def changes(self, now: datetime) -> list[Change]:
        """The renamings until `now`, ascending."""
        today = to_day(now.date())
        return [
            Change(day, str(event.code), event.say["code"], self.rows[asset].name)
            for day, event, asset, _ in self._steps
            if event.kind == ev.RENAME and event.say["history"] and day <= today
        ]

    def _apply(
        self,
        rows: list[Listing | None],
        index: dict[str, int],
        event: Event,
        asset: int,
        born: int,
        now: datetime,
    ) -> None:
        row = rows[asset] if asset >= 0 else None
        if event.kind == ev.LISTING:
            rows[born] = self.rows[born]
            index[self.rows[born].code] = born
            return
        if row is None:
            return
        if event.kind == ev.DELISTING:
            if event.mended(now):
                return
            rows[asset] = replace(row, delisted=True)
            if event.say["gone"]:
                rows[asset] = None
                del index[row.code]
        elif event.kind == ev.RENAME:
            del index[row.code]
            rows[asset] = replace(row, code=event.say["code"], key=row.born)
            index[event.say["code"]] = asset
        elif event.kind == ev.CHANGE:
            rows[asset] = _changed(row, event.say["set"])
        else:
            old = free_code(row.code, index)
            rows[asset] = replace(row, code=old, key=row.born, delisted=True)
            index[old] = asset
            rows[born] = self.rows[born]
            index[row.code] = born


def free_code(code: str, index: Iterable[str]) -> str:
    """The name of a company whose code another one got."""
    taken = set(index)
    number = 0
    name = f"{code}_old"
    while name in taken:
        number += 1
        name = f"{code}_old{number}"
    return name


def compile_roll(base: list[Listing], events: Iterable[Event]) -> Roll:
    """The roll of an exchange. Raises BadFault where an event names what is not listed."""
    chosen = sorted((event for event in events if event.kind in _KINDS), key=lambda e: e.low)
    if not chosen:
        return Roll(base)
    roll = Roll(list(base))
    for event in chosen:
        midnight = _midnight(event.low)
        names = roll.names(midnight)
        asset = names.index.get(str(event.code), -1)
        born = -1
        if event.kind == ev.LISTING:
            if asset >= 0:
                raise BadFault(f"ticker: {event.code}.{event.exchange} is listed already")
            roll.rows.append(_born(event, base[0]))
            born = len(roll.rows) - 1
            roll.life[born] = (event.low, None)
        elif asset < 0:
            raise BadFault(f"ticker: {event.code}.{event.exchange} is not listed then")
        elif event.kind == ev.REUSE:
            roll.life[asset] = (roll.life.get(asset, (None, None))[0], event.low - 1)
            roll.rows.append(_born(event, names.rows[asset] or base[0]))
            born = len(roll.rows) - 1
            roll.life[born] = (event.low, None)
        elif event.kind == ev.RENAME and event.say["code"] in names.index:
            raise BadFault(f"code: {event.say['code']} is listed already")
        elif event.kind == ev.DELISTING:
            back = ev.LAST_DAY if event.until is None else to_day(event.until.date()) - 1
            roll.gaps.setdefault(asset, []).append((event.low, back))
            if event.until is None:
                roll.life[asset] = (roll.life.get(asset, (None, None))[0], event.low - 1)
        roll._steps.append((event.low, event, asset, born))
    return roll


def _midnight(day: int) -> datetime:
    return datetime.combine(to_date(day), time(23, 59, 59), UTC)


def _born(event: Event, like: Listing) -> Listing:
    code = str(event.code)
    row = Listing(
        code=code,
        exchange=event.exchange,
        venue=like.venue,
        name=f"{code.title()} New Holding",
        country=like.country,
        currency=like.currency,
        type=COMMON,
        isin=None,
        key=f"{code}~{event.low}",
    )
    return _changed(row, event.say["set"])


def _changed(row: Listing, values: dict[str, Any]) -> Listing:
    return replace(row, **{_FIELD_NAMES[name]: value for name, value in values.items()})
