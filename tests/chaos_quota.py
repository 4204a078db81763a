"""Whether requests of ours stayed within the calls that were left, told by the vendor's log and the
leases that were made. Pure.

A lease is made within what the latest reading of the vendor's counter left, together with all that
was leased before it. A later reading takes nothing of it back. So what is sent may come over the
limit by calls of others that came in after the reading under which the newest lease was made, and
by nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Entry = Mapping[str, Any]
"""An arrival in the vendor's log; `at` by the vendor's clock."""


@dataclass(frozen=True)
class Made:
    """A lease, by Postgres' clock: when it was made, and when the reading was sent that was the
    latest then. None: the day had none.
    """

    at: datetime
    read_at: datetime | None


def sent_without_calls(
    entries: Sequence[Entry], leases: Sequence[Made], ahead: timedelta
) -> list[Entry]:
    """The requests of one day that came when the counter and their cost were over the limit.

    Entries are in their order, the leases of the day in theirs. `ahead`: Postgres' clock is ahead
    of the vendor's by so much, or less.
    """
    readings = [
        (_at(entry), int(entry["others"]))
        for entry in entries
        if entry["endpoint"] == "user" and entry["status"] == 200
    ]

    def shown(lease: Made) -> int:
        """Calls of others that the lease took into account: those that its reading showed."""
        if lease.read_at is None:
            return 0
        since = lease.read_at - ahead
        # Of several workers that read at once, the first that came, which shows the fewest.
        return next((others for at, others in readings if at >= since), 0)

    wrong = []
    waiting = list(leases)
    known = 0
    for entry in entries:
        # One that was made within `ahead` of it may have been made later.
        while waiting and waiting[0].at <= _at(entry):
            known = shown(waiting.pop(0))
        unseen = max(0, entry["others"] - known)
        if entry["counter"] - unseen + entry["cost"] > entry["limit"]:
            wrong.append(entry)
    return wrong


def _at(entry: Entry) -> datetime:
    return datetime.fromisoformat(entry["at"])
