"""Core: what of a run's spec the preflight needs. No I/O.

The spec was validated and completed by the API server, so another shape than expected is a fault
of whoever wrote the row, and an error here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

CALENDAR_DAYS_BEFORE, CALENDAR_DAYS_AFTER = 10, 30
"""Sessions are known from so many days before the history begins until so many after today."""

DEFAULT_TYPES = ("Common Stock",)
"""For a run that was opened before its kind had `assetTypes`."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Exchange codes in the order of the spec, and the symbols where a group names some."""

    symbols: Mapping[str, tuple[str, ...] | None]
    """By exchange code; None for everything that is listed."""
    history_from: date
    asset_types: tuple[str, ...] = DEFAULT_TYPES
    """The vendor's types of what is wanted of a list; named symbols are wanted whatever theirs."""

    @property
    def exchanges(self) -> tuple[str, ...]:
        """All exchange codes."""
        return tuple(self.symbols)


def read_spec(spec: Mapping[str, Any], today: date) -> Wanted:
    """Reads what the preflight needs. Raises KeyError or ValueError for another shape."""
    symbols: dict[str, tuple[str, ...] | None] = {}
    for group in spec["groups"]:
        named = group.get("symbols")
        for exchange in group["exchanges"]:
            symbols[exchange] = tuple(named) if named else None
    as_of = date.fromisoformat(spec["asOf"]) if spec.get("asOf") else today
    history = spec["history"]
    if history.get("from"):
        begin = date.fromisoformat(history["from"])
    else:
        begin = years_before(as_of, int(history["years"]))
    return Wanted(symbols, begin, tuple(spec.get("assetTypes", DEFAULT_TYPES)))


def years_before(day: date, years: int) -> date:
    """The same day so many years before; 28 February for 29 February."""
    try:
        return day.replace(year=max(1, day.year - years))
    except ValueError:
        return day.replace(year=max(1, day.year - years), day=28)


def calendar_span(history_from: date, today: date) -> tuple[date, date]:
    """First and last day for which sessions must be known."""
    first = history_from - timedelta(days=CALENDAR_DAYS_BEFORE)
    return first, today + timedelta(days=CALENDAR_DAYS_AFTER)


_EDGE, _AHEAD = timedelta(days=8), timedelta(days=12)
"""The first session may be days after the first day; and not every day needs a new day ahead."""


def covers(have_first: date, have_last: date, first: date, last: date) -> bool:
    """Whether sessions known from `have_first` to `have_last` do for `first` to `last`."""
    return have_first <= first + _EDGE and have_last >= last - _AHEAD
