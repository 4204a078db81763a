"""Core: the vendor's clock, told by the Date header of its answers. No I/O, no clock of its own.

Quota days and minutes are the vendor's, so they go by its clock: by Postgres' (which all workers
share) and what is known of the difference.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from email.utils import parsedate_to_datetime

SECOND = timedelta(seconds=1)
MAINTENANCE = time(5, 30), time(6)
"""GMT, each day: the vendor's servers are restarted, and errors say nothing about what was asked
for."""


def parse_date(header: str) -> datetime | None:
    """The moment of a Date header, in UTC; None for anything else."""
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    # "-0000" makes a naive one; HTTP dates are GMT.
    return moment if moment.tzinfo is not None else None


def in_maintenance(vendor_now: datetime) -> bool:
    """Whether the vendor's daily maintenance is on."""
    first, last = MAINTENANCE
    return first <= vendor_now.time() < last


@dataclass(slots=True)
class Skew:
    """How far the vendor's clock is ahead of ours, as an interval that every answer narrows.

    A Date header tells whole seconds, and the answer's moment is only known to lie between sending
    and receiving; so one answer tells little, and many together much.
    """

    low: timedelta | None = None
    high: timedelta | None = None

    def see(self, date: datetime, sent: datetime, received: datetime) -> None:
        """Takes in an answer dated `date` that was sent for and received at those times, ours."""
        low, high = date - received, date + SECOND - sent
        if self.low is None or self.high is None or high < self.low or low > self.high:
            self.low, self.high = low, high  # the first, or a clock was set since
        else:
            self.low, self.high = max(self.low, low), min(self.high, high)

    def corrects(self, believed: timedelta) -> timedelta | None:
        """A better value where `believed` contradicts what was seen; else None."""
        if self.low is None or self.high is None or self.low <= believed <= self.high:
            return None
        return (self.low + self.high) / 2
