"""The two clocks of the vendor: what data exists, and what quota day and minute it is.

The data clock follows real time, or stands still where it was set, or runs on from there. The
accounting clock follows real time, or runs on from where it was set. They are independent. Real
time comes in as an argument; nothing here reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Now = Callable[[], datetime]


class BadClock(ValueError):
    """A clock value that is no moment; the message names the field."""


def parse_moment(field: str, text: object) -> datetime:
    """An ISO moment with a zone, in UTC. Raises BadClock."""
    if not isinstance(text, str):
        raise BadClock(f"{field}: a moment such as 2023-09-19T23:59:00Z, or null for real time")
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise BadClock(f"{field}: {text!r} is no moment such as 2023-09-19T23:59:00Z") from error
    if moment.tzinfo is None:
        raise BadClock(f"{field}: {text!r} names no zone; write Z for UTC")
    return moment.astimezone(UTC)


def show(moment: datetime | None) -> str | None:
    """The form in which clocks are given out."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


@dataclass
class Clocks:
    """Both clocks. `real` tells real time in UTC."""

    real: Now
    data_set: datetime | None = None
    _data_offset: timedelta | None = None
    _accounting_offset: timedelta | None = None

    def data(self) -> datetime:
        return self.data_set or self.real() + (self._data_offset or timedelta())

    def accounting(self) -> datetime:
        return self.real() + (self._accounting_offset or timedelta())

    @property
    def data_is_set(self) -> bool:
        return self.data_set is not None or self._data_offset is not None

    @property
    def accounting_is_set(self) -> bool:
        return self._accounting_offset is not None

    def set_data(self, moment: datetime | None, *, runs: bool = False) -> None:
        self.data_set = None if runs else moment
        self._data_offset = moment - self.real() if runs and moment is not None else None

    def set_accounting(self, moment: datetime | None) -> None:
        self._accounting_offset = None if moment is None else moment - self.real()

    def reset(self) -> None:
        self.data_set = None
        self._data_offset = None
        self._accounting_offset = None
