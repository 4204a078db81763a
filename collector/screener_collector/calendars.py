"""Core: the sessions of an exchange and when each closes, from the exchange_calendars library.

The only module that knows the library, which is imported when first asked for: with pandas it takes
longer to load than everything else. No clock: the days asked for are arguments.
"""

import logging
import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

logger = logging.getLogger(__name__)

WEEKDAY_CLOSE = time(18, 0)
"""Local close of an exchange without a calendar, where weekdays serve as sessions."""


@dataclass(frozen=True, slots=True)
class Session:
    """A trading day and when it closes, aware, in UTC."""

    day: date
    closes_at: datetime


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


def sessions(
    calendar: str | None,
    time_zone: str | None,
    close_override: time | None,
    first: date,
    last: date,
) -> list[Session]:
    """The sessions from `first` to `last`, both included, ascending.

    `close_override`: the local close of a normal day, where the library's is known to be wrong;
    days that the library closes early keep the library's. Without a calendar: weekdays,
    WEEKDAY_CLOSE.
    """
    if calendar is None:
        zone = ZoneInfo(time_zone or "UTC")
        days = (first + timedelta(days=n) for n in range((last - first).days + 1))
        return [
            Session(day, _local(day, close_override or WEEKDAY_CLOSE, zone))
            for day in days
            if day.weekday() < 5
        ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _from_library(calendar, close_override, first, last)


def _local(day: date, close: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, close, zone).astimezone(UTC)


def _from_library(name: str, close_override: time | None, first: date, last: date) -> list[Session]:
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
    # The library wants more than one session; days are cut off again below.
    margin = pandas.Timedelta(days=14)
    low = start - margin if earliest is None else max(earliest, start - margin)
    high = end + margin if latest is None else min(latest, end + margin)
    try:
        calendar = exchange_calendars.get_calendar(name, start=low, end=high)
    except ValueError:
        calendar = default  # some do not take every first day
    zone = ZoneInfo(str(calendar.tz))
    early = {stamp.date() for stamp in calendar.early_closes}
    found = []
    for stamp, closes in zip(calendar.closes.index, calendar.closes.array, strict=True):
        day = stamp.date()
        if not first <= day <= last:
            continue
        if close_override is not None and day not in early:
            found.append(Session(day, _local(day, close_override, zone)))
        else:
            found.append(Session(day, closes.to_pydatetime().astimezone(UTC)))
    return found
