"""Scripted outages: which requests get a wrong status, a wrong body, a cut connection or a late
answer. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from screener_local.simulator.costs import COSTS

_FIELDS: Final = frozenset(
    {"status", "endpoint", "symbol", "count", "body", "content_type", "latency_s"}
)
#: The connection ends without an answer: before anything is counted, or after it.
REFUSE: Final = "refuse"
CUT: Final = "cut"

#: What the vendor's servers say when they fail.
SERVER_ERROR: Final = "Error occurred. Please contact support@eodhistoricaldata.com"


class BadOutage(ValueError):
    """An outage that cannot be; the message names the field."""


@dataclass
class Outage:
    """One fault. `status` None leaves the answer as it is; `endpoint` and `symbol` None match all;
    `left` None lasts.

    A status of 500 or more, or `refuse` (the connection is cut without an answer), comes before
    anything is counted and costs nothing. `cut` cuts the connection after the request was counted.
    Any other status or body replaces the answer to a request that was counted as usual.
    """

    status: int | str | None = None
    endpoint: str | None = None
    symbol: str | None = None
    left: int | None = None
    body: str | None = None
    content_type: str = "text/plain"
    latency_s: float = 0.0

    @property
    def uncounted(self) -> bool:
        return self.status == REFUSE or (isinstance(self.status, int) and self.status >= 500)

    def matches(self, endpoint: str, subject: str) -> bool:
        return (
            self.left != 0 and self.endpoint in (None, endpoint) and self.symbol in (None, subject)
        )


def parse(document: Any) -> list[Outage]:
    """The outages of one object or a list of them; `{}` and `[]` are none. Raises BadOutage."""
    parts = document if isinstance(document, list) else [document]
    return [_parse_one(part) for part in parts if part != {}]


def _parse_one(part: Any) -> Outage:
    if not isinstance(part, dict):
        raise BadOutage("an outage is an object")
    unknown = sorted(set(part) - _FIELDS)
    if unknown:
        raise BadOutage(
            f"{unknown[0]}: no field of an outage; there are {', '.join(sorted(_FIELDS))}"
        )
    status, endpoint = part.get("status"), part.get("endpoint")
    if not (status in (None, REFUSE, CUT) or (isinstance(status, int) and 200 <= status < 600)):
        raise BadOutage("status: 200 to 599, refuse or cut")
    if endpoint is not None and endpoint not in COSTS:
        raise BadOutage(f"endpoint: one of {', '.join(COSTS)}")
    count = part.get("count")
    if not (count is None or (isinstance(count, int) and count >= 1)):
        raise BadOutage("count: a whole number from 1 on, or null")
    latency = part.get("latency_s") or 0.0
    if not isinstance(latency, int | float) or latency < 0:
        raise BadOutage("latency_s: seconds")
    body = part.get("body")
    return Outage(
        status=status,
        endpoint=endpoint,
        symbol=part.get("symbol"),
        left=count,
        body=None if body is None else str(body),
        content_type=str(part.get("content_type") or "text/plain"),
        latency_s=float(latency),
    )


def take(outages: list[Outage], endpoint: str, subject: str) -> Outage | None:
    """The first outage that matches; uses up one of its count."""
    for outage in outages:
        if outage.matches(endpoint, subject):
            if outage.left is not None:
                outage.left -= 1
            return outage
    return None
