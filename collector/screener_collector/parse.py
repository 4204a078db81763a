"""Core: rows of the vendor's answers as frozen values. No I/O, no clock.

The vendor writes numbers as texts, whole prices as integers, "" or "NA" or 0000-00-00 for nothing,
and an empty list for an empty object; here each becomes what it means. Bars and fundamentals have
modules of their own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar

from screener_collector.bars import parse_count, parse_day, parse_number

T = TypeVar("T")

_NOTHING = frozenset({"", "NA", "N/A", "NULL", "NONE", "NAN", "-", "0000-00-00"})


class BadRow(ValueError):
    """A row or answer that lacks what it must have; the message names the field."""


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


@dataclass(frozen=True, slots=True)
class Account:
    """The vendor's own counter: `calls_used` of `counted_day`, the last active GMT day."""

    calls_used: int
    counted_day: date | None
    daily_limit: int

    def calls_used_on(self, today: date) -> int:
        """The calls used on the GMT day `today`: the counter is reset by a day's first request."""
        return self.calls_used if self.counted_day == today else 0


def account(data: Mapping[str, Any]) -> Account:
    """From `/user`. Raises BadRow when it lacks the counter or the limit."""
    used, limit = parse_count(data.get("apiRequests")), parse_count(data.get("dailyRateLimit"))
    if used is None or used < 0:
        raise BadRow("apiRequests: not a count")
    if limit is None or limit < 0:
        raise BadRow("dailyRateLimit: not a count")
    return Account(used, day(data.get("apiRequestsDate")), limit)


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


def listings(rows: Iterable[Any]) -> list[Listing]:
    """The listings of an exchange, one a code; rows without a code are left out."""
    by_code: dict[str, Listing] = {}
    for row in rows:
        row_code = code(row.get("Code")) if isinstance(row, dict) else None
        if row_code is None:
            continue
        by_code[row_code] = Listing(
            code=row_code,
            name=text(row.get("Name")),
            type=text(row.get("Type")),
            currency=text(row.get("Currency")),
            country=text(row.get("Country")),
            isin=text(row.get("Isin")),
        )
    return list(by_code.values())


@dataclass(frozen=True, slots=True)
class Action:
    """A split or dividend of a bulk day. A split has `split_new` shares for `split_old` before."""

    code: str
    ex_date: date
    split_new: float | None
    split_old: float | None
    dividend: float | None
    currency: str | None
    row: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """`split` or `dividend`."""
        return "dividend" if self.dividend is not None else "split"


@dataclass(frozen=True, slots=True)
class BulkRows(Generic[T]):
    """A bulk day: what is of the session asked for, by the rest why not."""

    rows: tuple[T, ...]
    refused: int
    """Rows of another date."""
    unreadable: int
    """Rows without a code, date or value."""


def split_ratio(value: Any) -> tuple[float, float] | None:
    """New and old shares from `4.000000/1.000000` (or `4:1`); None when it is no ratio."""
    parts = value.replace(":", "/").split("/") if isinstance(value, str) else []
    if len(parts) != 2:
        return None
    new, old = parse_number(parts[0]), parse_number(parts[1])
    return (new, old) if new is not None and old is not None and new > 0 and old > 0 else None


def splits(rows: Iterable[Any], session: date) -> BulkRows[Action]:
    """The splits of a bulk day; a row whose date is not `session` is refused."""

    def read(row: Mapping[str, Any], row_code: str) -> Action | None:
        ratio = split_ratio(row.get("split"))
        return ratio and Action(row_code, session, ratio[0], ratio[1], None, None, row)

    return _bulk(rows, session, read)


def dividends(rows: Iterable[Any], session: date) -> BulkRows[Action]:
    """The dividends of a bulk day; a row whose date is not `session` is refused."""

    def read(row: Mapping[str, Any], row_code: str) -> Action | None:
        amount = number(row.get("dividend"))
        if amount is None:
            amount = number(row.get("unadjustedValue"))
        if amount is None:
            return None
        return Action(row_code, session, None, None, amount, text(row.get("currency")), row)

    return _bulk(rows, session, read)


def bulk_bars(rows: Iterable[Any], session: date) -> BulkRows[tuple[str, Mapping[str, Any]]]:
    """Code and unchecked row of each bar of a bulk day; another date than `session` is refused."""
    return _bulk(rows, session, lambda row, row_code: (row_code, row))


def _bulk(rows: Iterable[Any], session: date, read: Any) -> BulkRows[Any]:
    kept: dict[str, Any] = {}
    refused = unreadable = 0
    for row in rows:
        row_code = code(row.get("code")) if isinstance(row, dict) else None
        row_day = parse_day(row.get("date")) if row_code is not None else None
        if row_code is None or row_day is None:
            unreadable += 1
        elif row_day != session:
            refused += 1
        elif (value := read(row, row_code)) is None:
            unreadable += 1
        else:
            kept[row_code] = value
    return BulkRows(tuple(kept.values()), refused, unreadable)
