"""Core: the sessions of an exchange and when each closes, from the exchange_calendars library.

The only module that knows the library, which is imported when first asked for: with pandas it takes
longer to load than everything else. No clock: the days asked for are arguments.
"""

import contextlib
import logging
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

logger = logging.getLogger(__name__)

WEEKDAY_CLOSE = time(18, 0)
"""Local close of an exchange without a calendar whose hours nobody says."""
WEEKDAYS = frozenset(range(5))


@dataclass(frozen=True, slots=True)
class Session:
    """A trading day and when it closes, aware, in UTC."""

    day: date
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class Correction:
    """Where the library is wrong, from `first_day` to `last_day`, or until another begins.

    `closes`: the local close of normal days; None: there is no session.
    """

    first_day: date
    last_day: date | None
    closes: time | None


@dataclass(frozen=True, slots=True)
class Hours:
    """The vendor's hours of an exchange, which say nothing of days before `since`."""

    since: date
    closes: time | None = None
    working_days: frozenset[int] | None = None
    """Monday is 0."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """All that an exchange's sessions follow from."""

    calendar: str | None = None
    """Its name in the library; None: working days serve as sessions."""
    time_zone: str | None = None
    close_override: time | None = None
    """The local close of normal days, whatever anybody else says."""
    corrections: Sequence[Correction] = ()
    closed: Collection[date] = ()
    """Days without session that the library may not know."""
    hours: Hours | None = None


def known_calendar(mics: tuple[str, ...]) -> tuple[str, str] | None:
    """The first of `mics` that the library has a calendar for, and its time zone; else None."""
    with warnings.catch_warnings():
        # The library still uses what pandas is about to change; its results are right.
        warnings.simplefilter("ignore")
        import exchange_calendars
        from exchange_calendars.errors import InvalidCalendarName

        for mic in mics:
            try:
                resolved = exchange_calendars.resolve_alias(mic)
                if resolved not in exchange_calendars.get_calendar_names():
                    continue
                return resolved, str(exchange_calendars.get_calendar(resolved).tz)
            except InvalidCalendarName:
                continue
            except (NotImplementedError, ValueError):
                # Some of its calendars (Athens, Tel Aviv) do not work with every pandas.
                logger.warning("the library's calendar of %s does not work", mic)
    return None


def sessions(schedule: Schedule, first: date, last: date) -> list[Session]:
    """The sessions from `first` to `last`, both included, ascending.

    The close of a normal day is the override's, else the correction's or the library's, but the
    vendor's where that is later: a bar that is expected too early would be asked for in vain. Days
    that the library closes early keep its close.
    """
    days = (
        _weekdays(schedule, first, last)
        if schedule.calendar is None
        else _library_days(schedule.calendar, first, last)
    )
    closed = frozenset(schedule.closed)
    zone = ZoneInfo(schedule.time_zone or "UTC")
    found = []
    for day in days:
        correction = _correction(schedule.corrections, day.day)
        if day.day in closed or (correction is not None and correction.closes is None):
            continue
        closes_at = day.closes_at
        if not day.early:
            if correction is not None and correction.closes is not None:
                closes_at = _local(day.day, correction.closes, zone)
            hours = schedule.hours
            if hours is not None and hours.closes is not None and day.day >= hours.since:
                closes_at = max(closes_at, _local(day.day, hours.closes, zone))
            if schedule.close_override is not None:
                closes_at = _local(day.day, schedule.close_override, zone)
        found.append(Session(day.day, closes_at))
    return found


@dataclass(frozen=True, slots=True)
class _Day:
    day: date
    closes_at: datetime
    early: bool = False


def _correction(corrections: Sequence[Correction], day: date) -> Correction | None:
    """The one that began last of those that hold."""
    holding = [
        each
        for each in corrections
        if each.first_day <= day and (each.last_day is None or day <= each.last_day)
    ]
    return max(holding, key=lambda each: each.first_day, default=None)


def _weekdays(schedule: Schedule, first: date, last: date) -> list[_Day]:
    """Working days; without a calendar the vendor's hours are all that is known of any day."""
    zone, hours = ZoneInfo(schedule.time_zone or "UTC"), schedule.hours
    working = (hours.working_days if hours else None) or WEEKDAYS
    close = (hours.closes if hours else None) or WEEKDAY_CLOSE
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [_Day(day, _local(day, close, zone)) for day in days if day.weekday() in working]


def _local(day: date, close: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, close, zone).astimezone(UTC)


@lru_cache(maxsize=64)
def _library_days(name: str, first: date, last: date) -> list[_Day]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _from_library(name, first, last)


def _from_library(name: str, first: date, last: date) -> list[_Day]:
    import exchange_calendars
    import pandas

    # Twenty years back and one ahead, which every calendar of the library takes.
    default = exchange_calendars.get_calendar(name)
    factory = type(default)
    start, end = pandas.Timestamp(first), pandas.Timestamp(last)
    # Before or after what the library knows of an exchange there is nothing to say.
    if (earliest := factory.bound_min()) is not None:
        start = max(start, earliest)
    if (latest := factory.bound_max()) is not None:
        end = min(end, latest)
    if start > end:
        return []
    calendar = default
    # Making one takes most of the time that all of this does.
    if not default.first_session <= start <= end <= default.last_session:
        # The library wants more than one session; days are cut off again below.
        margin = pandas.Timedelta(days=14)
        low = start - margin if earliest is None else max(earliest, start - margin)
        high = end + margin if latest is None else min(latest, end + margin)
        # Some do not take every first day.
        with contextlib.suppress(ValueError):
            calendar = exchange_calendars.get_calendar(name, start=low, end=high)
    early = {stamp.date() for stamp in calendar.early_closes}
    found = []
    for stamp, closes in zip(calendar.closes.index, calendar.closes.array, strict=True):
        day = stamp.date()
        if first <= day <= last:
            found.append(_Day(day, closes.to_pydatetime().astimezone(UTC), day in early))
    return found
