"""Events of the market and the universe that a script asks for: what they are, and what each may
say. Pure.

An event is about one ticker or one exchange, and about one day or a range of them. What it does to
bars, actions and lists is in `market`, `actions`, `shown` and `roll`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from screener_local.simulator.clocks import BadClock, parse_moment
from screener_local.simulator.faults import BadFault, number_from, share, whole
from screener_local.simulator.sessions import to_day

LATE: Final = "late"
PARTIAL: Final = "partial"
MISSING: Final = "missing"
VOLUME: Final = "volume"
BAR: Final = "bar"
UNIT: Final = "unit"
HOLIDAY: Final = "holiday"
CLOSED: Final = "closed"
DETAILS: Final = "details"
SPLIT: Final = "split"
DIVIDEND: Final = "dividend"
ACTION: Final = "action"
ACTIONS: Final = "actions_listed"
LISTING: Final = "listing"
DELISTING: Final = "delisting"
RENAME: Final = "rename"
REUSE: Final = "reuse"
CHANGE: Final = "change"
TRUNCATED: Final = "list_truncated"

#: Of a change of a listing, and of a new one.
LISTING_FIELDS: Final = ("Name", "Country", "Exchange", "Currency", "Type", "Isin")
BAR_FIELDS: Final = ("open", "high", "low", "close", "adjusted_close", "volume")

FIRST_DAY: Final = -1
LAST_DAY: Final = 10**6


@dataclass(frozen=True)
class Event:
    """`code` None is a whole exchange. Days are since the epoch, both included; `until` is a moment
    of the data clock from which the fault is mended, None for never. `say` has the other fields,
    with their defaults.
    """

    kind: str
    exchange: str
    code: str | None
    low: int
    high: int
    until: datetime | None
    say: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def mended(self, now: datetime) -> bool:
        return self.until is not None and now >= self.until


@dataclass(frozen=True)
class _Kind:
    """`subject`: ticker, exchange, either or none. `days`: the fields that say when."""

    subject: str
    days: str
    fields: Mapping[str, Any]


_HOW_ACTION: Final[Mapping[str, Any]] = {
    "real": True,
    "adjusted": True,
    "listed": True,
    "list_hours": 0.0,
    "adjust_hours": 0.0,
}

_KINDS: Final[Mapping[str, _Kind]] = {
    LATE: _Kind("exchange", "sessions", {"hours": None}),
    PARTIAL: _Kind("exchange", "sessions", {"share": 0.5, "hours": None}),
    MISSING: _Kind("ticker", "sessions", {"hours": None}),
    VOLUME: _Kind("either", "sessions?", {"factor": 0.7, "hours": 12.0}),
    BAR: _Kind("ticker", "session", {"set": {}}),
    UNIT: _Kind("ticker", "sessions", {"factor": 100.0}),
    HOLIDAY: _Kind("exchange", "session", {"answer": "residue", "rows": 12}),
    CLOSED: _Kind("exchange", "session", {}),
    DETAILS: _Kind("exchange", "", {"set": {}, "holidays": None}),
    SPLIT: _Kind("ticker", "session", {"ratio": None, **_HOW_ACTION}),
    DIVIDEND: _Kind(
        "ticker",
        "session",
        {"amount": None, "yield": None, "currency": None, "listed_amount": None, **_HOW_ACTION},
    ),
    ACTION: _Kind(
        "either",
        "sessions",
        {"list_hours": 0.0, "adjust_hours": 0.0, "factor": 1.0, "adjusted": True},
    ),
    ACTIONS: _Kind("none", "", {"when": "next_morning"}),
    LISTING: _Kind("ticker", "on", {"set": {}}),
    DELISTING: _Kind("ticker", "on", {"gone": False}),
    RENAME: _Kind("ticker", "on", {"code": None, "history": True}),
    REUSE: _Kind("ticker", "on", {"set": {}}),
    CHANGE: _Kind("ticker", "on", {"set": {}}),
    TRUNCATED: _Kind("exchange", "", {"share": 0.5, "from": None}),
}
KINDS: Final = tuple(_KINDS)

_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    LATE: ("hours",),
    BAR: ("set",),
    SPLIT: ("ratio",),
    RENAME: ("code",),
    CHANGE: ("set",),
}
_CHOICES: Final[Mapping[str, tuple[Any, ...]]] = {
    "answer": ("residue", "echo", "nothing"),
    "holidays": (None, "list", "object", "empty"),
    "when": ("next_morning", "with_session"),
}


def parse(part: Mapping[str, Any]) -> Event:
    """The event of one object of a script. Raises BadFault."""
    name = part["kind"]
    kind = _KINDS[name]
    days = {
        "": (),
        "on": ("on",),
        "session": ("session",),
        "sessions": ("session", "from", "to"),
        "sessions?": ("session", "from", "to"),
    }[kind.days]
    subject = {"either": ("ticker", "exchange"), "none": ()}.get(kind.subject, (kind.subject,))
    known = {"kind", "until", *subject, *days, *kind.fields}
    unknown = sorted(set(part) - known)
    if unknown:
        raise BadFault(f"{unknown[0]}: no field of {name}; there are {', '.join(sorted(known))}")
    lacking = [need for need in _NEEDED.get(name, ()) if part.get(need) is None]
    if lacking:
        raise BadFault(f"{lacking[0]}: {name} needs it")
    exchange, code = _subject(part, kind.subject)
    low, high = _days(part, kind.days)
    say = {
        key: _READ[key](key, part[key]) if key in part else default
        for key, default in kind.fields.items()
    }
    if name == DIVIDEND and (say["amount"] is None) == (say["yield"] is None):
        raise BadFault("amount: a dividend has an amount or a yield")
    _check_set(name, say.get("set", {}))
    until = None if part.get("until") is None else _moment("until", part["until"])
    return Event(name, exchange, code, low, high, until, say)


def _check_set(kind: str, values: Mapping[str, Any]) -> None:
    """Refuses what a bar or a row of a list does not have. Details may say anything."""
    if kind == DETAILS:
        return
    known = BAR_FIELDS if kind == BAR else LISTING_FIELDS
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise BadFault(f"set.{unknown[0]}: no field of {kind}; there are {', '.join(known)}")
    for field_name, value in values.items():
        if kind == BAR and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise BadFault(f"set.{field_name}: a number")
        if kind != BAR and not isinstance(value, str | None):
            raise BadFault(f"set.{field_name}: a text")


def _subject(part: Mapping[str, Any], subject: str) -> tuple[str, str | None]:
    if subject == "none":
        return "", None
    ticker, exchange = part.get("ticker"), part.get("exchange")
    if isinstance(ticker, str) and exchange is None:
        code, _, suffix = ticker.rpartition(".")
        if not code:
            raise BadFault(f"ticker: {ticker!r} names no exchange, as AAPL.US does")
        return suffix, code
    if isinstance(exchange, str) and ticker is None and subject != "ticker":
        return exchange, None
    which = {"either": "ticker: a ticker or an exchange", "exchange": "exchange: its code"}
    raise BadFault(which.get(subject, "ticker: one such as AAPL.US"))


def _days(part: Mapping[str, Any], days: str) -> tuple[int, int]:
    if days == "":
        return FIRST_DAY, LAST_DAY
    if days in ("on", "session"):
        day = _day(days, part.get(days))
        return day, day
    if "session" in part:
        day = _day("session", part["session"])
        return day, day
    if days == "sessions" and "from" not in part and "to" not in part:
        raise BadFault("session: one, or from and to")
    low = _day("from", part["from"]) if "from" in part else FIRST_DAY
    high = _day("to", part["to"]) if "to" in part else LAST_DAY
    return low, high


def _day(name: str, value: Any) -> int:
    try:
        return to_day(date.fromisoformat(value))
    except (TypeError, ValueError) as error:
        raise BadFault(f"{name}: a day such as 2023-09-19") from error


def _moment(name: str, value: Any) -> datetime:
    try:
        return parse_moment(name, value)
    except BadClock as error:
        raise BadFault(str(error)) from error


def _hours(name: str, value: Any) -> float | None:
    """None is never."""
    return None if value is None else number_from(name, value, -1000.0)


def _positive(name: str, value: Any) -> float | None:
    if value is None:
        return None
    found = number_from(name, value)
    if not found > 0:
        raise BadFault(f"{name}: a number above 0")
    return found


def _ratio(name: str, value: Any) -> tuple[float, float]:
    """New and old shares of `4/1`."""
    try:
        new, old = (float(part) for part in str(value).split("/"))
    except ValueError as error:
        raise BadFault(f"{name}: new and old shares, such as 4/1") from error
    if not (new > 0 and old > 0):
        raise BadFault(f"{name}: new and old shares, such as 4/1")
    return new, old


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadFault(f"{name}: true or false")
    return value


def _text(name: str, value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and value):
        raise BadFault(f"{name}: a text")
    return value


def _choice(name: str, value: Any) -> Any:
    if value not in _CHOICES[name]:
        shown = ", ".join(str(choice) for choice in _CHOICES[name] if choice)
        raise BadFault(f"{name}: one of {shown}")
    return value


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadFault(f"{name}: an object")
    return value


_READ: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "hours": _hours,
    "share": share,
    "factor": _positive,
    "set": _object,
    "answer": _choice,
    "holidays": _choice,
    "when": _choice,
    "rows": lambda name, value: whole(name, value, 0),
    "ratio": _ratio,
    "amount": _positive,
    "yield": share,
    "currency": _text,
    "listed_amount": _positive,
    "real": _flag,
    "adjusted": _flag,
    "listed": _flag,
    "list_hours": _hours,
    "adjust_hours": _hours,
    "gone": _flag,
    "code": _text,
    "history": _flag,
    "from": lambda name, value: None if value is None else _moment(name, value),
}
