"""What the account has used: calls a GMT day, requests a minute, and whether one more is allowed.

The only place that counts. Pure in its input: every method takes the moment of the accounting
clock. One thread, no await inside, so deciding and counting are one step.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime

#: The endpoint under which calls of other clients of the same account are kept.
OTHER = "other"


class BadAccount(ValueError):
    """A change of the account that cannot be; the message names the field."""


@dataclass
class Use:
    requests: int = 0
    calls: int = 0

    def as_json(self) -> dict[str, int]:
        return {"requests": self.requests, "calls": self.calls}


@dataclass
class Ledger:
    """The account's use by GMT day and endpoint, counted and refused, and the requests of the
    present minute.
    """

    counted: dict[date, dict[str, Use]] = field(default_factory=dict)
    refused: dict[date, dict[str, dict[str, int]]] = field(default_factory=dict)
    extra_limit: int = 0
    _minute: datetime | None = None
    _minute_requests: int = 0
    _last_active: date | None = None

    def used(self, day: date) -> int:
        """Calls of a GMT day."""
        return sum(use.calls for use in self.counted.get(day, {}).values())

    def others(self, day: date) -> int:
        """Calls of a GMT day that other clients of the account made."""
        use = self.counted.get(day, {}).get(OTHER)
        return use.calls if use is not None else 0

    def count_others(self, now: datetime, calls: int) -> None:
        """Counts calls of other clients."""
        use = self.counted.setdefault(now.date(), {}).setdefault(OTHER, Use())
        use.calls += calls
        self._last_active = now.date()

    def shown(self, today: date) -> tuple[int, date]:
        """(`apiRequests`, `apiRequestsDate`): the last active day's until the first counted request
        of a new day.
        """
        day = self._last_active or today
        return self.used(day), day

    def enter_minute(self, now: datetime, limit: int) -> int | None:
        """Takes a place in the present clock minute: how many are left; None when it is full."""
        minute = now.replace(second=0, microsecond=0)
        if minute != self._minute:
            self._minute, self._minute_requests = minute, 0
        if self._minute_requests >= limit:
            return None
        self._minute_requests += 1
        return limit - self._minute_requests

    def minute_left(self, now: datetime, limit: int) -> int:
        """Places left in the present minute; takes none."""
        if now.replace(second=0, microsecond=0) != self._minute:
            return limit
        return max(0, limit - self._minute_requests)

    def affords(self, now: datetime, calls: int, daily_limit: int) -> bool:
        """Whether the day, and what was bought beyond it, still covers the calls."""
        return self._beyond(now.date(), calls, daily_limit) <= self.extra_limit

    def count(self, now: datetime, endpoint: str, calls: int, daily_limit: int) -> None:
        """Counts one answered request.

        Bought calls go only after the day's are spent, and do not come back.
        """
        today = now.date()
        beyond = self._beyond(today, calls, daily_limit)
        self.extra_limit = max(0, self.extra_limit - beyond)
        use = self.counted.setdefault(today, {}).setdefault(endpoint, Use())
        use.requests += 1
        use.calls += calls
        self._last_active = today

    def _beyond(self, day: date, calls: int, daily_limit: int) -> int:
        """How many of the calls the day's limit does not cover."""
        used = self.used(day)
        return max(0, used + calls - daily_limit) - max(0, used - daily_limit)

    def refuse(self, now: datetime, endpoint: str, status: int) -> None:
        """Notes a request that was refused or failed, and cost nothing."""
        days = self.refused.setdefault(now.date(), {})
        statuses = days.setdefault(endpoint, defaultdict(int))
        statuses[str(status)] += 1

    def set_used(self, now: datetime, calls: int) -> None:
        """Makes today's counter read `calls`, as if another client of the account had used the
        rest.
        """
        today = now.date()
        uses = self.counted.setdefault(today, {})
        own = sum(use.calls for endpoint, use in uses.items() if endpoint != OTHER)
        if calls < own:
            raise BadAccount(f"used: {calls} is less than the {own} calls already counted today")
        uses[OTHER] = Use(0, calls - own)
        self._last_active = today

    def usage(self) -> dict[str, dict[str, dict[str, int]]]:
        """By day and endpoint, for the admin route."""
        return {
            day.isoformat(): {name: use.as_json() for name, use in sorted(uses.items())}
            for day, uses in sorted(self.counted.items())
        }

    def refusals(self) -> dict[str, dict[str, dict[str, int]]]:
        """By day, endpoint and status, for the admin route."""
        return {
            day.isoformat(): {name: dict(sorted(by.items())) for name, by in sorted(names.items())}
            for day, names in sorted(self.refused.items())
        }
