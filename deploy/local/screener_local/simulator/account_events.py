"""What happens to the account at scripted times of the accounting clock: other clients of the same
key, limits that change during a day, endpoints that are withdrawn or granted. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from screener_local.simulator import faults
from screener_local.simulator.clocks import BadClock, parse_moment
from screener_local.simulator.costs import COSTS
from screener_local.simulator.faults import BadFault

OTHER_CLIENTS: Final = "other_clients"
LIMIT: Final = "limit"
WITHDRAWN: Final = "withdrawn"
GRANTED: Final = "granted"

_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    OTHER_CLIENTS: frozenset({"calls", "calls_per_minute"}),
    LIMIT: frozenset({"daily_limit", "minute_limit"}),
    WITHDRAWN: frozenset({"endpoint"}),
    GRANTED: frozenset({"endpoint"}),
}
KINDS: Final = tuple(_FIELDS)

_ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class AccountEvent:
    """From `since` until before `until` of the accounting clock.

    `calls` come at once at `since`, `calls_per_minute` all the time in between.
    """

    kind: str
    since: datetime
    until: datetime
    calls: int = 0
    calls_per_minute: float = 0.0
    daily_limit: int | None = None
    minute_limit: int | None = None
    endpoint: str = ""

    def holds(self, now: datetime) -> bool:
        return self.since <= now < self.until


def parse(part: Mapping[str, Any]) -> AccountEvent:
    """The event of one object of a script. Raises BadFault."""
    kind = part["kind"]
    known = _FIELDS[kind] | {"kind", "from", "until"}
    unknown = sorted(set(part) - known)
    if unknown:
        raise BadFault(f"{unknown[0]}: no field of {kind}; there are {', '.join(sorted(known))}")
    try:
        since = parse_moment("from", part["from"]) if part.get("from") else _ALWAYS
        until = parse_moment("until", part["until"]) if part.get("until") else _NEVER
    except BadClock as error:
        raise BadFault(str(error)) from error
    if kind == OTHER_CLIENTS and since == _ALWAYS:
        raise BadFault("from: since when the other clients call")
    endpoint = part.get("endpoint", "")
    if kind in (WITHDRAWN, GRANTED) and endpoint not in COSTS:
        raise BadFault(f"endpoint: one of {', '.join(COSTS)}")
    limits = {
        name: None if part.get(name) is None else faults.whole(name, part[name], 0)
        for name in ("daily_limit", "minute_limit")
    }
    return AccountEvent(
        kind,
        since,
        until,
        calls=faults.whole("calls", part.get("calls", 0), 0),
        calls_per_minute=faults.number_from("calls_per_minute", part.get("calls_per_minute", 0)),
        endpoint=endpoint,
        **limits,
    )


def calls_of_others(events: Iterable[AccountEvent], now: datetime) -> int:
    """Calls of other clients on the GMT day of `now`, up to `now`."""
    midnight = datetime.combine(now.date(), time(), UTC)
    total = 0
    for event in events:
        if event.kind != OTHER_CLIENTS or event.since > now:
            continue
        if event.since >= midnight:
            total += event.calls
        minutes = (min(now, event.until) - max(event.since, midnight)) / timedelta(minutes=1)
        total += int(max(0.0, minutes) * event.calls_per_minute)
    return total


def limits(
    events: Iterable[AccountEvent], now: datetime, daily: int, minute: int
) -> tuple[int, int]:
    """(calls a day, requests a minute) in force at `now`; of several events the last one."""
    for event in events:
        if event.kind == LIMIT and event.holds(now):
            daily = daily if event.daily_limit is None else event.daily_limit
            minute = minute if event.minute_limit is None else event.minute_limit
    return daily, minute


def endpoints(events: Iterable[AccountEvent], kind: str, now: datetime) -> frozenset[str]:
    """Which endpoints are withdrawn, or granted, at `now`."""
    return frozenset(event.endpoint for event in events if event.kind == kind and event.holds(now))
