"""Core: the vendor's details of an exchange, and what of them is believed. No I/O, no clock.

They may add a closed day or move the close. They never take one away: an empty list of holidays, a
zone that contradicts the exchange's own, or holidays on which it traded change nothing and are
flagged.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from screener_collector import parse

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Flag(StrEnum):
    """What is doubtful about an exchange, as in `exchanges.flags`."""

    LIST_NOT_BELIEVED = "list_not_believed"
    """The latest symbol list lacks too much; the assets stay as they were."""
    NO_CALENDAR = "no_calendar"
    """No calendar of its MIC is known; weekdays and the vendor's details serve."""
    ZONE_CONTRADICTS_MIC = "zone_contradicts_mic"
    """The details' time zone is not the exchange's; nothing of them is believed."""
    NO_HOLIDAYS = "no_holidays"
    """The details have no holiday; those known before stay."""
    HOLIDAYS_NOT_BELIEVED = "holidays_not_believed"
    """The details' holidays are too many, or fall on days of trade; those known before stay."""


OF_DETAILS = (Flag.ZONE_CONTRADICTS_MIC, Flag.NO_HOLIDAYS, Flag.HOLIDAYS_NOT_BELIEVED)
"""Flags that each reading of the details sets anew."""


@dataclass(frozen=True, slots=True)
class Details:
    """What the details say; None where they do not."""

    time_zone: str | None = None
    closes: time | None = None
    """The local close of normal days."""
    working_days: frozenset[int] | None = None
    """Monday is 0."""
    holidays: Mapping[date, str | None] = field(default_factory=dict)
    """Official ones, on which there is no trade, and their names. Bank holidays are none."""


def read(data: Any) -> Details:
    """From `/exchange-details`, of either version; whatever cannot be read says nothing."""
    if isinstance(data, dict) and isinstance(data.get("data"), dict):
        data = data["data"]
    if not isinstance(data, dict):
        return Details()
    hours = data.get("TradingHours")
    hours = hours if isinstance(hours, dict) else {}
    return Details(
        time_zone=parse.text(data.get("Timezone")),
        closes=_time(hours.get("Close")),
        working_days=_working_days(hours.get("WorkingDays")),
        holidays=dict(_holidays(data.get("ExchangeHolidays"))),
    )


def _time(value: Any) -> time | None:
    try:
        return time.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _working_days(value: Any) -> frozenset[int] | None:
    names = (
        [name.strip()[:3].lower() for name in value.split(",")] if isinstance(value, str) else []
    )
    days = frozenset(_WEEKDAYS.index(name) for name in names if name in _WEEKDAYS)
    return days or None


def _holidays(value: Any) -> Iterator[tuple[date, str | None]]:
    """A list, an object keyed "0", "1", … or by day; anything else has none."""
    listed = value if isinstance(value, list) else []
    entries = value.items() if isinstance(value, dict) else enumerate(listed)
    for key, row in entries:
        if not isinstance(row, dict) or (parse.text(row.get("Type")) or "").lower() != "official":
            continue
        of_day = parse.day(row.get("Date")) or parse.day(str(key))
        if of_day is not None:
            yield of_day, parse.text(row.get("Holiday"))


@dataclass(frozen=True, slots=True)
class Believed:
    """What is believed of details. `holidays` None: those known before stay."""

    flags: frozenset[Flag]
    hours: bool
    """Whether time zone, close and working days are believed."""
    holidays: Mapping[date, str | None] | None = None


ADDED_DAYS, ADDED_DAYS_WITHOUT_CALENDAR = 10, 45
"""So many closed days in a year that the calendar does not know; every holiday without one."""


def judge(
    details: Details,
    *,
    time_zone: str | None,
    has_calendar: bool,
    sessions: Collection[date],
    traded: Collection[date],
    now: datetime,
) -> Believed:
    """What of `details` is believed.

    `time_zone`: of the exchange's calendar; `sessions`: its days without the details; `traded`:
    those of `details.holidays` on which stored bars show trade; `now`: aware.
    """
    if not same_zone(time_zone if has_calendar else None, details.time_zone, now):
        return Believed(frozenset({Flag.ZONE_CONTRADICTS_MIC}), hours=False)
    if not details.holidays:
        return Believed(frozenset({Flag.NO_HOLIDAYS}), hours=True)
    added = [day for day in details.holidays if day in sessions]
    most = ADDED_DAYS if has_calendar else ADDED_DAYS_WITHOUT_CALENDAR
    if len(added) > most or any(day in traded for day in added):
        return Believed(frozenset({Flag.HOLIDAYS_NOT_BELIEVED}), hours=True)
    return Believed(frozenset(), hours=True, holidays=details.holidays)


def same_zone(known: str | None, said: str | None, now: datetime) -> bool:
    """Whether a zone may be the known one: its clocks show the same, in summer and in winter.

    A zone that nobody can read contradicts; where either says nothing there is no contradiction.
    """
    if said is None:
        return True
    try:
        zones = [ZoneInfo(name) for name in (known or said, said)]
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    moments = [now.astimezone(UTC) + timedelta(days=91 * quarter) for quarter in range(4)]
    return all(
        moment.astimezone(zones[0]).utcoffset() == moment.astimezone(zones[1]).utcoffset()
        for moment in moments
    )
