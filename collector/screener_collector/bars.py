"""Core: bars, and the rules that one must keep to be stored. No I/O, no clock.

A bar that breaks a rule is set aside with the rule's name; nothing is repaired.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

PRICE_TOLERANCE = 1e-4
"""Relative: the vendor rounds to four decimals, each price on its own."""
MAX_VOLUME = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Bar:
    """One day as the vendor gives it: open to close raw, in the listing's unit."""

    date: date
    open: float
    high: float
    low: float
    close: float
    adjusted_close: float
    volume: int


@dataclass(frozen=True, slots=True)
class BadBar:
    """A row that broke `rule`, whole. `date` None: it has none that could be read."""

    date: date | None
    rule: str
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sorted:
    """The rows of one answer: bars by ascending date, and those set aside."""

    bars: tuple[Bar, ...]
    bad: tuple[BadBar, ...]


def parse_day(value: Any) -> date | None:
    """A date written `YYYY-MM-DD`; None for anything else, `0000-00-00` included."""
    if not isinstance(value, str) or len(value) != 10:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def parse_number(value: Any) -> float | None:
    """A finite number, also from a text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    # float() also reads "1_000" and "nan", which no vendor means as numbers.
    if not math.isfinite(number) or (isinstance(value, str) and "_" in value):
        return None
    return number


def parse_count(value: Any) -> int | None:
    """A whole number, also from `100.0` or a text; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = parse_number(value)
    if number is None or number != int(number):
        return None
    return int(number)


def check(row: Mapping[str, Any], first: date, last: date, today: date) -> Bar | BadBar:
    """The row as a bar, or the rule that it breaks.

    `first` to `last`, both included: what was asked for. Rules: `date_invalid`, `date_future`,
    `date_not_asked_for`, `price_invalid`, `price_not_positive`, `low_high_order`,
    `adjusted_close_invalid`, `volume_invalid`.
    """
    day = parse_day(row.get("date"))
    if day is None:
        return BadBar(None, "date_invalid", row)
    if day > today:
        return BadBar(day, "date_future", row)
    if not first <= day <= last:
        return BadBar(day, "date_not_asked_for", row)
    prices = [parse_number(row.get(name)) for name in ("open", "high", "low", "close")]
    o, h, l, c = prices  # noqa: E741
    if o is None or h is None or l is None or c is None:
        return BadBar(day, "price_invalid", row)
    if not (o > 0 and h > 0 and l > 0 and c > 0):
        return BadBar(day, "price_not_positive", row)
    room = PRICE_TOLERANCE * max(o, c)
    if l > min(o, c) + room or h < max(o, c) - room:
        return BadBar(day, "low_high_order", row)
    adjusted = parse_number(row.get("adjusted_close"))
    if adjusted is None or adjusted <= 0:
        return BadBar(day, "adjusted_close_invalid", row)
    volume = parse_count(row.get("volume"))
    if volume is None or not 0 <= volume <= MAX_VOLUME:
        return BadBar(day, "volume_invalid", row)
    return Bar(day, o, h, l, c, adjusted, volume)


def sort_out(rows: Iterable[Any], first: date, last: date, today: date) -> Sorted:
    """The rows of one asset's history, each checked; a date's second bar breaks `date_repeated`.

    A row that repeats another exactly says nothing new and is dropped.
    """
    bars: dict[date, Bar] = {}
    repeated: set[date] = set()
    bad: list[BadBar] = []
    for row in rows:
        if not isinstance(row, dict):
            bad.append(BadBar(None, "row_invalid", {"row": row}))
            continue
        checked = check(row, first, last, today)
        if isinstance(checked, BadBar):
            bad.append(checked)
        elif checked.date not in bars:
            bars[checked.date] = checked
        elif bars[checked.date] != checked:
            repeated.add(checked.date)
            bad.append(BadBar(checked.date, "date_repeated", row))
    # Which of two different bars of a day is right cannot be known, so neither passes.
    for day in repeated:
        bar = bars.pop(day)
        row = {name: getattr(bar, name) for name in Bar.__slots__ if name != "date"}
        bad.append(BadBar(day, "date_repeated", {"date": day.isoformat(), **row}))
    return Sorted(tuple(bars[day] for day in sorted(bars)), tuple(bad))
