"""Faults of single answers: which requests get a wrong status, a wrong body, a cut or slow one, or
are late. Pure.

Every draw hangs on the seed, the fault, the request's path and how often that path has met the
fault, so that a script means the same for a request however requests interleave.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from statistics import NormalDist
from typing import Any, Final

from screener_local.simulator import bodies
from screener_local.simulator.clocks import BadClock, parse_moment, show
from screener_local.simulator.costs import COSTS
from screener_local.simulator.noise import key_of

#: The connection ends without an answer: before anything is counted, or after it.
REFUSE: Final = "refuse"
CUT: Final = "cut"

_WHERE: Final = (
    "endpoint",
    "symbol",
    "query",
    "from",
    "until",
    "data_from",
    "data_until",
    "probability",
    "skip",
    "count",
)
_WHAT: Final = (
    "status",
    "wrong",
    "body",
    "content_type",
    "headers",
    "counted",
    "transit_s",
    "latency_s",
    "slow_s",
    "cut_after",
)
FIELDS: Final = (*_WHERE, *_WHAT)

_NORMAL: Final = NormalDist()
_Z99: Final = _NORMAL.inv_cdf(0.99)


class BadFault(ValueError):
    """A fault that cannot be; the message names the field."""


@dataclass(frozen=True)
class Seconds:
    """A time that is `median` always, or lognormal where `p99` is more."""

    median: float
    p99: float

    def draw(self, unit: float) -> float:
        """The time for a number in (0, 1)."""
        if self.p99 <= self.median:
            return self.median
        sigma = math.log(self.p99 / self.median) / _Z99
        return self.median * math.exp(sigma * _NORMAL.inv_cdf(unit))


@dataclass(frozen=True)
class Subject:
    """What a fault looks at in a request. `symbol` is the ticker or exchange of the path."""

    endpoint: str
    symbol: str
    query: Mapping[str, str]
    path: str


@dataclass
class Fault:
    """One fault of answers; what is None does not narrow it, or stays as it is.

    A status of 400 or more but 404 costs nothing, as does `refuse`: it comes before anything is
    counted. 404 costs the one call of an unknown name. `cut`, a cut body and every other status or
    body come instead of the answer to a request that was counted as usual. `counted` overrules.
    """

    number: int = 0
    endpoints: frozenset[str] | None = None
    symbols: tuple[str, ...] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    data_since: datetime | None = None
    data_until: datetime | None = None
    probability: float = 1.0
    skip: int = 0
    left: int | None = None
    status: int | str | None = None
    wrong: str | None = None
    body: str | None = None
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    counted: bool | None = None
    transit: Seconds | None = None
    latency: Seconds | None = None
    slow_s: float = 0.0
    cut_after: float | None = None
    _met: dict[str, int] = field(default_factory=dict)

    @property
    def answers(self) -> bool:
        """Whether it is about more than time."""
        return (
            self.status is not None
            or self.body is not None
            or self.wrong is not None
            or self.cut_after is not None
            or bool(self.headers)
            or self.slow_s > 0
        )

    @property
    def uncounted(self) -> bool:
        if self.counted is not None:
            return not self.counted
        refused = isinstance(self.status, int) and self.status >= 400 and self.status != 404
        return self.status == REFUSE or refused

    def matches(self, subject: Subject, accounting: datetime, data: datetime) -> bool:
        return (
            self.left != 0
            and (self.endpoints is None or subject.endpoint in self.endpoints)
            and (
                self.symbols is None
                or any(fnmatchcase(subject.symbol, symbol) for symbol in self.symbols)
            )
            and all(subject.query.get(name) == value for name, value in self.query.items())
            and (self.since is None or accounting >= self.since)
            and (self.until is None or accounting < self.until)
            and (self.data_since is None or data >= self.data_since)
            and (self.data_until is None or data < self.data_until)
        )

    def meet(self, seed: int, path: str) -> int | None:
        """Whether it strikes a request that it matches: the key of the draws for it, or None."""
        times = self._met[path] = self._met.get(path, 0) + 1
        key = key_of(seed, "fault", self.number, path, times)
        if self.probability < 1.0 and _unit(key_of(key, "strike")) >= self.probability:
            return None
        if self.skip:
            self.skip -= 1
            return None
        if self.left is not None:
            self.left -= 1
        return key


@dataclass(frozen=True)
class Struck:
    """What the faults do to one request: times in seconds, and the fault that answers, if any."""

    transit_s: float = 0.0
    latency_s: float = 0.0
    fault: Fault | None = None
    key: int = 0


NOTHING: Final = Struck()


def strike(
    faults: list[Fault], seed: int, subject: Subject, accounting: datetime, data: datetime
) -> Struck:
    """What becomes of a request: of all faults that match it, the first with a transit, the first
    with a latency and the first that answers strike, each by its own draw.
    """
    transit: float | None = None
    latency: float | None = None
    found: Fault | None = None
    found_key = 0
    for fault in faults:
        needed = (
            (fault.answers and found is None)
            or (fault.latency is not None and latency is None)
            or (fault.transit is not None and transit is None)
        )
        if not needed or not fault.matches(subject, accounting, data):
            continue
        key = fault.meet(seed, subject.path)
        if key is None:
            continue
        if fault.transit is not None and transit is None:
            transit = fault.transit.draw(_unit(key_of(key, "transit")))
        if fault.latency is not None and latency is None:
            latency = fault.latency.draw(_unit(key_of(key, "latency")))
        if fault.answers and found is None:
            found, found_key = fault, key
    if transit is None and latency is None and found is None:
        return NOTHING
    return Struck(transit or 0.0, latency or 0.0, found, found_key)


def _unit(key: int) -> float:
    return ((key >> 11) + 0.5) * 2.0**-53


# -- reading a script -----------------------------------------------------------------------------


def parse(part: Mapping[str, Any], number: int) -> Fault:
    """The fault of one object; `number` is its place in the script. Raises BadFault."""
    unknown = sorted(set(part) - set(FIELDS))
    if unknown:
        raise BadFault(f"{unknown[0]}: no field of a fault; there are {', '.join(sorted(FIELDS))}")
    status = part.get("status")
    if not (status in (None, REFUSE, CUT) or (_is_whole(status) and 200 <= status < 600)):
        raise BadFault("status: 200 to 599, refuse or cut")
    wrong = part.get("wrong")
    if wrong is not None and wrong not in bodies.WRONG:
        raise BadFault(f"wrong: one of {', '.join(bodies.WRONG)}")
    counted = part.get("counted")
    if counted is not None and not isinstance(counted, bool):
        raise BadFault("counted: true, false or null")
    body, content_type = part.get("body"), part.get("content_type")
    cut_after = part.get("cut_after")
    return Fault(
        number=number,
        endpoints=_endpoints(part.get("endpoint")),
        symbols=_texts("symbol", part.get("symbol")),
        query=_pairs("query", part.get("query")),
        since=_moment("from", part.get("from")),
        until=_moment("until", part.get("until")),
        data_since=_moment("data_from", part.get("data_from")),
        data_until=_moment("data_until", part.get("data_until")),
        probability=share("probability", part.get("probability", 1.0)),
        skip=whole("skip", part.get("skip") or 0, 0),
        left=None if part.get("count") is None else whole("count", part["count"], 1),
        status=status,
        wrong=wrong,
        body=None if body is None else str(body),
        content_type=None if content_type is None else str(content_type),
        headers=_pairs("headers", part.get("headers")),
        counted=counted,
        transit=_seconds("transit_s", part.get("transit_s")),
        latency=_seconds("latency_s", part.get("latency_s")),
        slow_s=number_from("slow_s", part.get("slow_s") or 0.0),
        cut_after=None if cut_after is None else share("cut_after", cut_after),
    )


def as_json(fault: Fault) -> dict[str, Any]:
    """What is left of a fault, in the form in which it is scripted."""
    out: dict[str, Any] = {
        "endpoint": None if fault.endpoints is None else sorted(fault.endpoints),
        "symbol": None if fault.symbols is None else list(fault.symbols),
        "query": dict(fault.query) or None,
        "from": show(fault.since),
        "until": show(fault.until),
        "data_from": show(fault.data_since),
        "data_until": show(fault.data_until),
        "probability": fault.probability if fault.probability < 1.0 else None,
        "skip": fault.skip or None,
        "count": fault.left,
        "status": fault.status,
        "wrong": fault.wrong,
        "body": fault.body,
        "content_type": fault.content_type,
        "headers": dict(fault.headers) or None,
        "counted": fault.counted,
        "slow_s": fault.slow_s or None,
        "cut_after": fault.cut_after,
    }
    for name, seconds in (("transit_s", fault.transit), ("latency_s", fault.latency)):
        if seconds is not None:
            out[name] = {"median_s": seconds.median, "p99_s": seconds.p99}
    return {name: value for name, value in out.items() if value is not None}


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def whole(name: str, value: Any, least: int) -> int:
    if not _is_whole(value) or value < least:
        raise BadFault(f"{name}: a whole number from {least} on")
    return int(value)


def number_from(name: str, value: Any, least: float = 0.0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
        raise BadFault(f"{name}: a number from {least:g} on")
    return float(value)


def share(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadFault(f"{name}: a share from 0 to 1")
    return float(value)


def _moment(name: str, value: Any) -> datetime | None:
    try:
        return None if value is None else parse_moment(name, value)
    except BadClock as error:
        raise BadFault(str(error)) from error


def _endpoints(value: Any) -> frozenset[str] | None:
    names = _texts("endpoint", value)
    if names is not None and not set(names) <= set(COSTS):
        raise BadFault(f"endpoint: of {', '.join(COSTS)}")
    return None if names is None else frozenset(names)


def _texts(name: str, value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, str) for part in parts):
        raise BadFault(f"{name}: a text or a list of texts")
    return tuple(parts)


def _pairs(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value or {}, dict):
        raise BadFault(f"{name}: an object of texts")
    return {str(key): str(item) for key, item in (value or {}).items()}


def _seconds(name: str, value: Any) -> Seconds | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        always = number_from(name, value)
        return Seconds(always, always)
    if set(value) != {"median_s", "p99_s"}:
        raise BadFault(f'{name}: seconds, or {{"median_s", "p99_s"}}')
    median = number_from(f"{name}.median_s", value["median_s"])
    p99 = number_from(f"{name}.p99_s", value["p99_s"], median)
    if not median > 0:
        raise BadFault(f"{name}.median_s: a number above 0")
    return Seconds(median, p99)
