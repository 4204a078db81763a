"""The trading days of an exchange and when each day's bars are published. The only module that
reads exchange_calendars.

Days are whole numbers since EPOCH. The library is imported on first use, so that the server is up
at once.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from screener_local.simulator.exchanges import Exchange
from screener_local.simulator.noise import Ints

EPOCH = date(2000, 1, 1)


def to_day(when: date) -> int:
    """Whole days since EPOCH."""
    return (when - EPOCH).days


def to_date(day: int) -> date:
    return EPOCH + timedelta(days=int(day))


@dataclass(frozen=True)
class Sessions:
    """`days` ascending;

    `closes` and `published` are seconds since 1970; `early` marks the half days.
    """

    days: Ints
    closes: Ints
    published: Ints
    early: frozenset[int]

    def visible(self, now: datetime) -> int:
        """How many sessions, from the first on, are published."""
        return int(np.searchsorted(self.published, int(now.timestamp()), side="right"))

    def snap(self, days: Ints) -> Ints:
        """The first session on or after each day, -1 beyond the last."""
        at = np.searchsorted(self.days, days)
        padded = np.append(self.days, -1)
        return padded[at]

    def before(self, days: Ints) -> Ints:
        """The session before each session; the first has itself."""
        return self.days[np.maximum(np.searchsorted(self.days, days) - 1, 0)]

    def is_session(self, day: int) -> bool:
        at = int(np.searchsorted(self.days, day))
        return at < len(self.days) and int(self.days[at]) == day


@lru_cache(maxsize=64)
def load(exchange: Exchange, last_year: int) -> Sessions:
    """The sessions of the exchange from EPOCH to the end of `last_year`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own deprecations
        import exchange_calendars

        calendar = exchange_calendars.get_calendar(
            exchange.calendar, start=EPOCH.isoformat(), end=f"{last_year}-12-31"
        )
        stamps = calendar.closes
        labels = [stamp.date() for stamp in stamps.index]
        closes = [stamp.to_pydatetime().astimezone(UTC) for stamp in stamps]
        early = frozenset(to_day(stamp.date()) for stamp in calendar.early_closes)
    if exchange.late_close is not None:
        zone = ZoneInfo(exchange.time_zone)
        closes = [
            datetime.combine(label, exchange.late_close, zone).astimezone(UTC)
            if label >= exchange.late_close_from and to_day(label) not in early
            else close
            for label, close in zip(labels, closes, strict=True)
        ]
    days = np.array([to_day(label) for label in labels], dtype=np.int64)
    seconds = np.array([int(close.timestamp()) for close in closes], dtype=np.int64)
    delay = int(exchange.delay.total_seconds())
    return Sessions(days, seconds, seconds + delay, early)
