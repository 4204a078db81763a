"""Every request that arrived, refused ones too, with the counter as it stood at that moment.

So that a judge can prove what a client did: whether a request came when the counter and its cost
were over the limit, whether one came after a 402, how many a minute brought.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from screener_local.simulator.clocks import show


@dataclass(slots=True)
class Arrival:
    """`at` by the accounting clock. `counter` is what the day had counted before it, `others` the
    part of it that other clients used; `extra` the bought calls left; `cost` what its answer costs.
    `status` None is not answered yet, 0 a connection that was cut; `calls` is what was counted.
    """

    n: int
    at: datetime
    path: str
    endpoint: str
    cost: int
    counter: int
    others: int
    limit: int
    extra: int
    status: int | None = None
    calls: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "at": show(self.at),
            "path": self.path,
            "endpoint": self.endpoint,
            "status": self.status,
            "calls": self.calls,
            "cost": self.cost,
            "counter": self.counter,
            "others": self.others,
            "limit": self.limit,
            "extra": self.extra,
        }


@dataclass
class Arrivals:
    """All arrivals in their order; `n` counts from 1."""

    _all: list[Arrival] = field(default_factory=list)

    def add(self, at: datetime, path: str, endpoint: str, **counts: int) -> Arrival:
        arrival = Arrival(len(self._all) + 1, at, path, endpoint, **counts)
        self._all.append(arrival)
        return arrival

    def page(self, since: int, most: int) -> list[dict[str, Any]]:
        """The first `most` arrivals after number `since`."""
        return [arrival.as_json() for arrival in self._all[since : since + most]]

    def __len__(self) -> int:
        return len(self._all)
