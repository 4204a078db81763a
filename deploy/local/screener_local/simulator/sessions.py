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

from screener_local.simulator.exchanges import WEEKDAYS, Exchange
from screener_local.simulator.noise import Ints

EPOCH = date(2000, 1, 1)

#: Of an exchange whose calendar no library knows.
_HOLIDAYS = {(1, 1), (5, 1), (6, 1), (10, 20), (12, 12), (12, 25), (12, 26)}


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

    def published_of(self, days: Ints) -> Ints:
        """When the bars of each day are published: for a day without session, those of the next."""
        at = np.searchsorted(self.days, days)
        return self.published[np.minimum(at, len(self.days) - 1)]

    def is_session(self, day: int) -> bool:
        at = int(np.searchsorted(self.days, day))
        return at < len(self.days) and int(self.days[at]) == day


@lru_cache(maxsize=64)
def load(exchange: Exchange, last_year: int) -> Sessions:
    """The sessions of the exchange from EPOCH to the end of `last_year`."""
    if exchange.calendar == WEEKDAYS:
        return _weekdays(exchange, last_year)
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


def _weekdays(exchange: Exchange, last_year: int) -> Sessions:
    """Every weekday; a market of shares rests on a few fixed holidays."""
    count = to_day(date(last_year, 12, 31)) + 1
    rest = set() if exchange.opens == exchange.closes else _HOLIDAYS
    when = [to_date(day) for day in range(count)]
    labels = [day for day in when if day.weekday() < 5 and (day.month, day.day) not in rest]
    zone = ZoneInfo(exchange.time_zone)
    seconds = np.array(
        [int(datetime.combine(day, exchange.closes, zone).timestamp()) for day in labels],
        dtype=np.int64,
    )
    days = np.array([to_day(day) for day in labels], dtype=np.int64)
    return Sessions(days, seconds, seconds + int(exchange.delay.total_seconds()), frozenset())
