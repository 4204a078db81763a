"""Core: bars in columns, and the rules that one must keep to be stored. No I/O, no clock.

A row that breaks a rule is set aside with the rule's name; nothing is repaired, and no row costs
another. The rules are judged for all rows of an answer at once; what a rule says of one row is the
same whatever stands beside it.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from operator import itemgetter
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.datetime64]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]

PRICE_TOLERANCE = 1e-4
"""Relative: the vendor rounds to four decimals, each price on its own."""
MAX_VOLUME = 2**63 - 1
LEAST_PRICE, MOST_PRICE = 1e-12, 1e15
"""A price beyond is none: four decimals of more than the latter no double holds. Products and
ratios of prices within stay far from what overflows."""


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """One asset's bars as the vendor gives them, by ascending date, no date twice.

    Arrays of one length, which become read-only: `dates` datetime64[D]; open to close raw, in the
    listing's unit; `adjusted_close` for splits and dividends; `volume` for splits.
    """

    dates: Days
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    adjusted_close: Floats
    volume: Counts

    def __post_init__(self) -> None:
        for column in self.columns():
            column.flags.writeable = False

    def __len__(self) -> int:
        return len(self.dates)

    def columns(self) -> tuple[NDArray[Any], ...]:
        """The arrays in the order of the fields."""
        return (
            self.dates,
            self.open,
            self.high,
            self.low,
            self.close,
            self.adjusted_close,
            self.volume,
        )

    def take(self, which: Mask | NDArray[np.intp] | slice) -> Self:
        """Those that a mask, ascending indexes or a slice name."""
        return type(self)(*(column[which] for column in self.columns()))

    def same(self, other: "Bars") -> bool:
        """Whether both say the same."""
        pairs = zip(self.columns(), other.columns(), strict=True)
        return all(np.array_equal(mine, theirs) for mine, theirs in pairs)

    @property
    def first_date(self) -> date:
        """Of the first bar. Raises IndexError without bars."""
        day: date = self.dates[0].item()
        return day

    @property
    def last_date(self) -> date:
        """Of the last bar. Raises IndexError without bars."""
        day: date = self.dates[-1].item()
        return day

    @classmethod
    def empty(cls) -> Self:
        """No bars."""
        none = np.empty(0, np.float64)
        return cls(
            np.empty(0, "datetime64[D]"), none, none, none, none, none, np.empty(0, np.int64)
        )


def merge(older: Bars, newer: Bars) -> Bars:
    """The bars of both; where both have a date, that of `newer`."""
    if not len(older) or not len(newer):
        return newer if len(newer) else older
    columns = [np.concatenate(pair) for pair in zip(newer.columns(), older.columns(), strict=True)]
    _, first = np.unique(columns[0], return_index=True)
    return Bars(*(column[first] for column in columns))


@dataclass(frozen=True, slots=True)
class BadBar:
    """A row that broke `rule`, whole. `date` None: it has none that could be read."""

    date: date | None
    rule: str
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sorted:
    """The rows of one answer: bars, and those set aside."""

    bars: Bars
    bad: tuple[BadBar, ...]


@dataclass(frozen=True, slots=True)
class BulkDay:
    """A session's bars of many assets.

    `bars`: of each of `codes` one, all of the session (so here a date does repeat). `bad`: of codes
    that have no bar in `bars`.
    """

    codes: tuple[str, ...]
    bars: Bars
    bad: Mapping[str, BadBar]


@dataclass(frozen=True, slots=True, eq=False)
class Tails:
    """The last bars of many assets: matrices, assets by days, right-aligned.

    The last column is each asset's newest bar; where an asset has fewer bars than there are columns
    its row begins with NaT, NaN and, for `volume`, 0.
    """

    asset_ids: NDArray[np.int32]
    lengths: NDArray[np.intp]
    """How many bars each asset has."""
    dates: Days
    volume: Counts
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    adjusted_close: Floats

    def of(self, place: int) -> Bars:
        """The bars of the asset at a place of `asset_ids`."""
        mine = (place, slice(self.dates.shape[1] - int(self.lengths[place]), None))
        return Bars(
            self.dates[mine],
            self.open[mine],
            self.high[mine],
            self.low[mine],
            self.close[mine],
            self.adjusted_close[mine],
            self.volume[mine],
        )


def parse_day(value: Any) -> date | None:
    """A date written `YYYY-MM-DD`; None for anything else, `0000-00-00` included."""
    # fromisoformat() also reads "2024-W02-3".
    if not isinstance(value, str) or len(value) != 10 or "W" in value:
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
    # float() also reads "1_000", "nan" and the digits of all scripts, which no vendor means.
    if isinstance(value, str) and ("_" in value or not value.isascii()):
        return None
    if not math.isfinite(number):
        return None
    return number


def parse_amount(value: Any) -> float | None:
    """A price or an amount of money a share, also from a text; None for what cannot be one."""
    number = parse_number(value)
    if number is None or number == 0:
        return number
    return number if LEAST_PRICE <= number <= MOST_PRICE else None


def parse_count(value: Any) -> int | None:
    """A whole number, also from `100.0` or a text; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = parse_number(value)
    if number is None or number != int(number):
        return None
    return int(number)


def sort_out(rows: Sequence[Any], first: date, last: date, today: date) -> Sorted:
    """The rows of one asset's history, each checked; `first` to `last`: the days asked for.

    Rules: `row_invalid`, those of RULES, and `date_repeated` for all different bars of a day: which
    of them is right cannot be known. A row that repeats a bar exactly says nothing new and is
    dropped. What is set aside is in the order of the rows; rows of a day that break the same rule
    are one, with all of them in it.
    """
    places = np.arange(len(rows))
    values = _values(rows)
    if values is not None:
        columns, broken = _judge(values, first, last, today)
    else:
        broken = np.array([0 if isinstance(row, dict) else ROW_INVALID for row in rows], np.int8)
        places = np.flatnonzero(broken == 0)
        columns, broken[places] = _judge(
            _by_field([rows[at] for at in places.tolist()]), first, last, today
        )
    if not broken.any() and (columns[0][1:] > columns[0][:-1]).all():
        return Sorted(Bars(*columns), ())
    good = broken[places] == 0
    places = places[good]
    # Stable: of several rows of a day the first stays the first.
    order = np.argsort(columns[0][good], kind="stable")
    columns, places = [column[good][order] for column in columns], places[order]
    keep, repeated = _repeats(columns)
    broken[places[repeated]] = DATE_REPEATED
    bad = [_bad_bar(rows[at], broken[at]) for at in np.flatnonzero(broken).tolist()]
    return Sorted(Bars(*(column[keep] for column in columns)), _together(bad))


def sort_out_day(
    rows: Sequence[tuple[str, Mapping[str, Any]]], session: date, today: date
) -> BulkDay:
    """The rows of a bulk day by code, no code twice, each checked by RULES."""
    columns, broken = _judge(_by_field([row for _, row in rows]), session, session, today)
    good = np.flatnonzero(broken == 0)
    return BulkDay(
        tuple(rows[at][0] for at in good.tolist()),
        Bars(*(column[good] for column in columns)),
        {rows[at][0]: _bad_bar(rows[at][1], broken[at]) for at in np.flatnonzero(broken).tolist()},
    )


RULES = (
    "date_invalid",
    "date_future",
    "date_not_asked_for",
    "price_invalid",
    "price_not_positive",
    "low_high_order",
    "adjusted_close_invalid",
    "volume_invalid",
)
"""The rules of a row, in the order in which they are judged: a row is said to break its first."""
_NAMES = ("", *RULES, "row_invalid", "date_repeated")
ROW_INVALID, DATE_REPEATED = _NAMES.index("row_invalid"), _NAMES.index("date_repeated")


def _bad_bar(row: Any, broken: int) -> BadBar:
    if broken == ROW_INVALID:
        return BadBar(None, _NAMES[broken], {"row": row})
    return BadBar(parse_day(row.get("date")), _NAMES[broken], row)


def _together(bad: Sequence[BadBar]) -> tuple[BadBar, ...]:
    """Where the same day breaks a rule in several rows, one with `rows`: all are kept."""
    rows: dict[tuple[date | None, str], list[Mapping[str, Any]]] = {}
    for each in bad:
        rows.setdefault((each.date, each.rule), []).append(each.row)
    return tuple(
        BadBar(day, rule, alike[0] if len(alike) == 1 else {"rows": alike})
        for (day, rule), alike in rows.items()
    )


_PRICES = ("open", "high", "low", "close", "adjusted_close")
_FIELDS = tuple((name, itemgetter(name)) for name in ("date", *_PRICES, "volume"))


def _values(rows: Sequence[Any]) -> list[list[Any]] | None:
    """By field what each row has there, None where it lacks it; None if a row is no object."""
    try:
        return [list(map(get, rows)) for _, get in _FIELDS]
    except (KeyError, TypeError):
        return _by_field(rows) if all(isinstance(row, dict) for row in rows) else None


def _by_field(rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    return [[row.get(name) for row in rows] for name, _ in _FIELDS]


def _judge(
    values: Sequence[Sequence[Any]], first: date, last: date, today: date
) -> tuple[list[NDArray[Any]], NDArray[np.int8]]:
    """`values`: of rows, by field.

    The columns of the rows as of Bars, and of each row the place of its rule in _NAMES, or 0.
    """
    of_days, *of_prices, of_volume = values
    dates = _days(of_days)
    prices = _prices(of_prices)
    volume, is_count = _counts(of_volume)
    columns = [dates, *prices, volume]
    o, h, l, c, adjusted = prices  # noqa: E741
    # What is compared with a number that is none, or grows beyond all, has broken a rule before.
    with np.errstate(all="ignore"):
        least, most = np.minimum(o, c), np.maximum(o, c)
        room = PRICE_TOLERANCE * most
        disordered = (l > least + room) | (h < most - room)
        if (
            len(dates)
            and _within(dates, first, min(last, today))
            and prices.min() >= LEAST_PRICE
            and prices.max() <= MOST_PRICE
            and volume.min() >= 0
            and is_count.all()
            and not disordered.any()
        ):
            # As nearly all answers are: none of what follows is so.
            return columns, np.zeros(len(dates), np.int8)
        breaks = (
            np.isnat(dates),
            dates > np.datetime64(today),
            ~((dates >= np.datetime64(first)) & (dates <= np.datetime64(last))),
            ~np.logical_and.reduce([_can_be(price) for price in (o, h, l, c)]),
            ~((o > 0) & (h > 0) & (l > 0) & (c > 0)),
            disordered,
            ~((adjusted > 0) & _can_be(adjusted)),
            ~is_count | (volume < 0),
        )
    broken = np.zeros(len(dates), np.int8)
    for place in range(len(RULES), 0, -1):
        broken[breaks[place - 1]] = place
    return columns, broken


def _within(dates: Days, first: date, last: date) -> bool:
    """Whether all are days from the first to the last; there must be one."""
    # As numbers NaT is the least of all.
    days = dates.view(np.int64)
    bounds = np.array((first, last), "datetime64[D]").view(np.int64)
    return bool(bounds[0] <= days.min() and days.max() <= bounds[1])


def _can_be(prices: Floats) -> Mask:
    """Which are finite and of a size that prices have, whatever their sign."""
    size = np.abs(prices)
    found: Mask = (size == 0) | ((size >= LEAST_PRICE) & (size <= MOST_PRICE))
    return found


def _repeats(columns: Sequence[NDArray[Any]]) -> tuple[Mask, Mask]:
    """Of bars by ascending date: those to keep, and those of days with different bars."""
    is_first = np.ones(len(columns[0]), np.bool_)
    is_first[1:] = columns[0][1:] != columns[0][:-1]
    if is_first.all():
        return is_first, ~is_first
    day = np.cumsum(is_first) - 1
    first_of_day = np.flatnonzero(is_first)[day]
    same = np.all([column == column[first_of_day] for column in columns], axis=0)
    contradicted = np.zeros(day[-1] + 1, np.bool_)
    contradicted[day[~same]] = True
    return is_first & ~contradicted[day], contradicted[day] & (is_first | ~same)


# Columns: what all values of a kind allow is done at once, and each alone where one does not.


_YEAR_1 = np.datetime64("0001-01-01", "D")
_LEAST_DAY, _MOST_DAY = (np.frombuffer(day, np.uint8) for day in (b"0000-00-00,", b"9999-99-99,"))
_DAY = np.dtype([("day", "S10"), ("comma", "S1")])


def _days(values: Sequence[Any]) -> Days:
    """As parse_day; NaT for none."""
    try:
        text = (",".join(values) + ",").encode("ascii")
        if len(text) == _DAY.itemsize * len(values):
            # numpy reads other forms than YYYY-MM-DD too, signs and the year 0, but no impossible
            # day. With so many commas in their places no value has one, so each has its ten.
            letters = np.frombuffer(text, np.uint8).reshape(len(values), _DAY.itemsize)
            if ((letters >= _LEAST_DAY) & (letters <= _MOST_DAY)).all():
                days = np.frombuffer(text, _DAY)["day"].astype("datetime64[D]")
                return np.where(days < _YEAR_1, np.datetime64("NaT", "D"), days)
    except (TypeError, ValueError):
        pass  # some are no days, or no texts
    return np.array([parse_day(value) for value in values], "datetime64[D]")


def _packed(values: Sequence[Any], kind: str) -> NDArray[Any] | None:
    """The numbers of JSON as numpy has those of a kind of `struct`; None where a value is none."""
    try:
        numbers = np.frombuffer(struct.pack(f"{len(values)}{kind}", *values), kind)
    except struct.error:
        return None  # another type, or a number that the kind does not hold
    # Truth values pass for numbers, as 0 and 1.
    if ((numbers == 0) | (numbers == 1)).any() and bool in set(map(type, values)):
        return None
    return numbers


def _numbers(values: Sequence[Any]) -> Floats:
    """As parse_number; NaN for none."""
    numbers = _packed(values, "d")
    if numbers is not None:
        return np.where(np.isfinite(numbers), numbers, np.nan)
    each = (parse_number(value) for value in values)
    return np.array([math.nan if number is None else number for number in each], np.float64)


def _prices(columns: Sequence[Sequence[Any]]) -> Floats:
    """A row a column, each as `_numbers` has it."""
    numbers = _packed(list(chain.from_iterable(columns)), "d")
    if numbers is not None and np.isfinite(numbers).all():
        return numbers.reshape(len(columns), -1)
    return np.array([_numbers(column) for column in columns])


def _counts(values: Sequence[Any]) -> tuple[Counts, Mask]:
    """As parse_count, and which are counts that an int64 holds."""
    numbers = _packed(values, "q")
    if numbers is not None:
        return numbers, np.ones(len(values), np.bool_)
    counts = [parse_count(value) for value in values]
    held = [count is not None and -MAX_VOLUME <= count <= MAX_VOLUME for count in counts]
    pairs = zip(counts, held, strict=True)
    return np.array([count if holds else -1 for count, holds in pairs], np.int64), np.array(
        held, np.bool_
    )
