"""Core: rows of the vendor's answers as frozen values. No I/O, no clock.

The vendor writes numbers as texts, whole prices as integers, "" or "NA" or 0000-00-00 for nothing,
and an empty list for an empty object; here each becomes what it means. Bars and fundamentals have
modules of their own.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Generic, TypeVar

from screener_collector.bars import parse_amount, parse_count, parse_day, parse_number

T = TypeVar("T")

_NOTHING = frozenset({"", "NA", "N/A", "NULL", "NONE", "NAN", "-", "0000-00-00"})


class BadRow(ValueError):
    """A row or answer that lacks what it must have; the message names the field."""


class OtherSubject(BadRow):
    """An answer that is of another code or exchange than was asked for."""


def is_nothing(value: Any) -> bool:
    """Whether the vendor means that there is no value."""
    if isinstance(value, str):
        return value.strip().upper() in _NOTHING
    return value is None or value == [] or value == {}


def text(value: Any) -> str | None:
    """A text, stripped; numbers as written. None for nothing and for what is no scalar."""
    if is_nothing(value) or isinstance(value, (bool, dict, list)):
        return None
    return str(value).strip()


def number(value: Any) -> float | None:
    """A finite number, also from a text; None for nothing."""
    return None if is_nothing(value) else parse_number(value)


def day(value: Any) -> date | None:
    """A date, also from the front of a timestamp; None for nothing."""
    return parse_day(value[:10]) if isinstance(value, str) and not is_nothing(value) else None


def code(value: Any) -> str | None:
    """A ticker code exactly as the vendor has it: `NA`, `TRUE` and `007` are codes, not values."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() or None if isinstance(value, str) else None


def unit(value: Any) -> str | None:
    """The code of a currency or of a part of one, `GBX`; None for words such as `Unknown`."""
    found = text(value)
    return found if found and len(found) == 3 and found.isascii() and found.isalpha() else None


@dataclass(frozen=True, slots=True)
class Account:
    """The vendor's own counter: `calls_used` of `counted_day`, the last active GMT day."""

    calls_used: int
    counted_day: date | None
    daily_limit: int
    extra_limit: int = 0
    """Purchased calls that are left; they are used once the day's are."""

    def calls_used_on(self, today: date) -> int | None:
        """The calls used on the GMT day `today`; None where the counter does not tell.

        The counter is reset by a day's first request, so an earlier day's says that there was none.
        """
        if self.counted_day is None or self.counted_day > today:
            return None
        return self.calls_used if self.counted_day == today else 0


MOST_CALLS = 999_999_999
"""Beyond any counter or limit of the vendor's; sums of a few are within an integer of Postgres."""


def account(data: Mapping[str, Any]) -> Account:
    """From `/user`. Raises BadRow when it lacks the counter or the limit."""
    used, limit = parse_count(data.get("apiRequests")), parse_count(data.get("dailyRateLimit"))
    if used is None or not 0 <= used <= MOST_CALLS:
        raise BadRow("apiRequests: not a count")
    if limit is None or limit < 0:
        raise BadRow("dailyRateLimit: not a count")
    extra = parse_count(data.get("extraLimit")) or 0
    counted_day = day(data.get("apiRequestsDate"))
    return Account(used, counted_day, min(limit, MOST_CALLS), min(max(0, extra), MOST_CALLS))


@dataclass(frozen=True, slots=True)
class ListedExchange:
    """A row of `/exchanges-list`. `mics`: none, one or several operating MICs."""

    code: str
    name: str | None
    mics: tuple[str, ...]
    country: str | None
    currency: str | None


def exchanges(rows: Iterable[Any]) -> dict[str, ListedExchange]:
    """The vendor's exchanges by code; rows without a code are left out."""
    listed = {}
    for row in rows:
        row_code = code(row.get("Code")) if isinstance(row, dict) else None
        if row_code is None:
            continue
        mics = text(row.get("OperatingMIC")) or ""
        listed[row_code] = ListedExchange(
            code=row_code,
            name=text(row.get("Name")),
            mics=tuple(mic.strip() for mic in mics.split(",") if mic.strip()),
            country=text(row.get("Country")),
            currency=text(row.get("Currency")),
        )
    return listed


@dataclass(frozen=True, slots=True)
class Listing:
    """A row of `/exchange-symbol-list`."""

    code: str
    name: str | None
    type: str | None
    currency: str | None
    country: str | None
    isin: str | None


@dataclass(frozen=True, slots=True)
class Listings:
    """A symbol list: one row a code."""

    rows: tuple[Listing, ...]
    broken: int
    """Rows without a code, and rows that say something else of a code than an earlier one."""


def listings(rows: Iterable[Any]) -> Listings:
    """The listings of an exchange. Of two rows of a code the last counts."""
    by_code: dict[str, Listing] = {}
    broken = 0
    for row in rows:
        row_code = code(row.get("Code")) if isinstance(row, dict) else None
        if row_code is None:
            broken += 1
            continue
        listing = Listing(
            code=row_code,
            name=text(row.get("Name")),
            type=text(row.get("Type")),
            currency=unit(row.get("Currency")),
            country=text(row.get("Country")),
            isin=text(row.get("Isin")),
        )
        broken += by_code.get(row_code, listing) != listing
        by_code[row_code] = listing
    return Listings(tuple(by_code.values()), broken)


@dataclass(frozen=True, slots=True)
class SymbolChange:
    """A row of `/symbol-change-history`: from `effective` on `old` is called `new`."""

    old: str
    new: str
    effective: date


def symbol_changes(rows: Iterable[Any]) -> list[SymbolChange]:
    """The changes that can be read."""
    found = []
    for row in rows:
        if not isinstance(row, dict):
            continue
        old, new = code(row.get("old_symbol")), code(row.get("new_symbol"))
        effective = day(row.get("effective"))
        if old and new and effective:
            found.append(SymbolChange(old, new, effective))
    return found


def closes(rows: Iterable[Any]) -> dict[date, float]:
    """The closes of a history by day; rows without either are left out."""
    found = {}
    for row in rows:
        if isinstance(row, dict):
            of_day, close = day(row.get("date")), number(row.get("close"))
            if of_day is not None and close is not None:
                found[of_day] = close
    return found


@dataclass(frozen=True, slots=True)
class Action:
    """A split or dividend. A split has `split_new` shares for `split_old` before.

    `dividend` is in `currency` (None: not said) and of today's shares, `unadjusted` of those of its
    ex-date (None: not said).
    """

    code: str
    ex_date: date
    split_new: float | None
    split_old: float | None
    dividend: float | None
    unadjusted: float | None
    currency: str | None
    row: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """`split` or `dividend`."""
        return "dividend" if self.dividend is not None else "split"


@dataclass(frozen=True, slots=True)
class BulkRows(Generic[T]):
    """What is of the days asked for, by the rest why not."""

    rows: tuple[T, ...]
    refused: int
    """Rows of another date."""
    unreadable: int
    """Rows without a code, date or value."""
    doubtful: tuple[str, ...] = ()
    """Codes of the unreadable rows that have one: something is said of them, and not known what."""
    others: tuple[T, ...] = ()
    """Of bars: rows with a code, but of other dates or of none that can be read."""

    @property
    def received(self) -> int:
        """Rows of the answer, but for those that say nothing new."""
        return len(self.rows) + self.refused + self.unreadable


ActionRows = BulkRows[Action]


MOST_SHARES = 1e9
"""For one share, by a split either way; with more it is no split. (10**4 has happened.)"""


def split_ratio(value: Any) -> tuple[float, float] | None:
    """New and old shares from `4.000000/1.000000` (or `4:1`); None when it is no ratio."""
    parts = value.replace(":", "/").split("/") if isinstance(value, str) else []
    if len(parts) != 2:
        return None
    new, old = parse_amount(parts[0]), parse_amount(parts[1])
    if not new or not old:
        return None
    return (new, old) if 1 / MOST_SHARES <= new / old <= MOST_SHARES else None


def splits(rows: Iterable[Any], first: date, last: date, of_asset: str | None = None) -> ActionRows:
    """The splits with ex-dates from `first` to `last`, `of_asset` (a code), or of a bulk day."""

    def read(row: Mapping[str, Any], row_code: str, ex_date: date) -> Action | None:
        ratio = split_ratio(row.get("split"))
        return ratio and Action(row_code, ex_date, *ratio, None, None, None, row)

    return _actions(rows, first, last, of_asset, read, lambda known, other: None)


def dividends(
    rows: Iterable[Any], first: date, last: date, of_asset: str | None = None
) -> ActionRows:
    """The dividends with ex-dates from `first` to `last`, `of_asset` (a code), or of a bulk day.

    Those of one asset and day are one, the sum. A dividend of nothing is none.
    """

    def read(row: Mapping[str, Any], row_code: str, ex_date: date) -> Action | None:
        stated = row.get("unadjustedValue"), row.get("dividend" if of_asset is None else "value")
        unadjusted, amount = (None if is_nothing(each) else parse_amount(each) for each in stated)
        # One that is stated and cannot be is no reason to believe the other.
        if any(number(each) is not None and parse_amount(each) is None for each in stated):
            return None
        amount = unadjusted if amount is None else amount
        if amount is None:
            return None
        currency = text(row.get("currency"))
        return Action(row_code, ex_date, None, None, amount, unadjusted or None, currency, row)

    def add(known: Action, other: Action) -> Action | None:
        if known.currency != other.currency or (known.unadjusted is None) != (
            other.unadjusted is None
        ):
            return None
        return replace(
            known,
            dividend=(known.dividend or 0) + (other.dividend or 0),
            unadjusted=known.unadjusted and known.unadjusted + (other.unadjusted or 0),
            row={"rows": [*known.row.get("rows", [known.row]), other.row]},
        )

    found = _actions(rows, first, last, of_asset, read, add)
    return replace(found, rows=tuple(action for action in found.rows if action.dividend != 0))


def bulk_bars(rows: Iterable[Any], session: date) -> BulkRows[tuple[str, Mapping[str, Any]]]:
    """Code and unchecked row of each bar of a bulk day; another date than `session` is refused."""
    kept: dict[str, Any] = {}
    others: list[tuple[str, Mapping[str, Any]]] = []
    refused = unreadable = 0
    for row in rows:
        row_code = code(row.get("code")) if isinstance(row, dict) else None
        row_day = parse_day(row.get("date")) if row_code is not None else None
        if row_code is None or row_day is None:
            unreadable += 1
        elif row_day != session:
            refused += 1
        else:
            kept[row_code] = (row_code, row)
            continue
        if row_code is not None:
            others.append((row_code, row))
    return BulkRows(tuple(kept.values()), refused, unreadable, others=tuple(others))


def _actions(
    rows: Iterable[Any],
    first: date,
    last: date,
    of_asset: str | None,
    read: Callable[[Mapping[str, Any], str, date], Action | None],
    both: Callable[[Action, Action], Action | None],
) -> ActionRows:
    """`both`: what two different rows of an asset and day are together, None: not to be known."""
    kept: dict[tuple[str, date], Action | None] = {}
    doubtful: dict[str, None] = {}
    seen: set[tuple[str, date, str]] = set()
    refused = unreadable = 0
    for row in rows:
        row_code = of_asset or (code(row.get("code")) if isinstance(row, dict) else None)
        ex_date = day(row.get("date")) if row_code is not None and isinstance(row, dict) else None
        if row_code is None or ex_date is None:
            unreadable += 1
            if row_code is not None:
                doubtful[row_code] = None
            continue
        if not first <= ex_date <= last:
            refused += 1
            continue
        key, said = (row_code, ex_date), json.dumps(row, sort_keys=True, default=str)
        if (*key, said) in seen:
            continue
        seen.add((*key, said))
        action = read(row, row_code, ex_date)
        if action is not None and key in kept:
            known = kept[key]
            action = known and both(known, action)
        if action is None:
            unreadable += 1
            doubtful[row_code] = None
        kept[key] = action
    found = tuple(action for action in kept.values() if action is not None)
    return BulkRows(found, refused, unreadable, tuple(doubtful))
