"""The calls and request slots of this worker: reserved before a request, settled after its answer.

Nothing is sent that was not reserved in Postgres first, so all workers together stay within the
limits of day, run and minute, whatever becomes of one of them. Knows the store, never the vendor.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic

from screener_collector import endpoints
from screener_collector.store import CallsRefused, Store
from screener_collector.work import Spending, Usage

LEASE_CALLS = 100
"""The most that is leased at once: what a killed worker takes with it until the next reading."""
COUNTER_ENDPOINT = endpoints.user().name
SLOTS = 20
"""The most request slots of a minute that are taken at once."""
BEFORE_MIDNIGHT_S = 3.0
"""No request is sent so shortly before a quota day ends: the vendor might count it in the next."""
AFTER_MIDNIGHT_S = 2.0
"""And none so shortly after, by our clock, as the vendor's may be behind."""
CLOCKS_DIFFER_S = 5.0
"""Between two looks at Postgres' time when it has another day than expected."""


def to_wait_at_midnight(now: datetime) -> float:
    """Seconds until a request may be sent, as far as the turn of the GMT day goes; 0: at once."""
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    to_go = (midnight - now).total_seconds()
    if to_go < BEFORE_MIDNIGHT_S:
        return to_go + AFTER_MIDNIGHT_S
    return max(0.0, AFTER_MIDNIGHT_S - (86_400 - to_go))


@dataclass(slots=True)
class _Lease:
    id: int
    day: date
    calls: int
    spent: int = 0
    reserved: int = 0
    """In requests that are under way."""
    recorded: int = 0
    """Of `spent`, what Postgres knows."""

    @property
    def free(self) -> int:
        return self.calls - self.spent - self.reserved


@dataclass(frozen=True, slots=True)
class Reservation:
    """Calls for one request, until it is settled."""

    lease: _Lease
    calls: int
    endpoint: str

    @property
    def day(self) -> date:
        """The GMT day that they belong to."""
        return self.lease.day


class Ledger:
    """One worker's leases and slots. `ahead` tells the calls of the work that it has before it."""

    def __init__(
        self, store: Store, daily_limit: int, ahead: Callable[[], int] = lambda: 0
    ) -> None:
        self._store = store
        self._daily_limit = daily_limit
        self.ahead = ahead
        self.may_look_when_spent = False
        """Whether the vendor's counter may be read on a day that it said is spent."""
        self._leases: list[_Lease] = []
        self._usage: dict[tuple[date, str], Usage] = {}
        self._leasing = asyncio.Lock()
        self._slotting = asyncio.Lock()
        self._minute = datetime.min.replace(tzinfo=UTC)
        self._slots = 0
        self._began = datetime.now(UTC) - timedelta(seconds=monotonic())

    async def set_clock(self) -> None:
        """Learns Postgres' time, by which days and minutes go."""
        self._began = await self._store.clock() - timedelta(seconds=monotonic())

    def now(self) -> datetime:
        """The time by Postgres' clock, in UTC; it goes on evenly when this machine's is set."""
        return self._began + timedelta(seconds=monotonic())

    # Calls

    async def reserve(self, endpoint: str, calls: int) -> Reservation:
        """Calls of today and a slot of this minute for one request. Raises CallsRefused."""
        while True:
            await asyncio.sleep(to_wait_at_midnight(self.now()))
            reservation = await self._reserve_calls(endpoint, calls)
            await self._take_slot(reservation)
            # Waiting for a slot may have taken until midnight.
            now = self.now()
            if reservation.day == now.date() and to_wait_at_midnight(now) == 0:
                return reservation
            self._unreserve(reservation)

    async def _reserve_calls(self, endpoint: str, calls: int) -> Reservation:
        async with self._leasing:
            while True:
                today = self.now().date()
                for lease in self._leases:
                    if lease.day == today and lease.free >= calls:
                        break
                else:
                    lease = await self._lease(endpoint, calls)
                if lease.day == today:
                    lease.reserved += calls
                    return Reservation(lease, calls, endpoint)
                # Postgres has another day than this clock: one of them was set. Without a pause
                # block after block would be leased.
                self._leases.remove(lease)
                await self._store.return_lease(lease.id, lease.day, 0)
                await asyncio.sleep(CLOCKS_DIFFER_S)
                await self.set_clock()

    async def _lease(self, endpoint: str, calls: int) -> _Lease:
        block = max(calls, min(LEASE_CALLS, self.ahead()))
        look = self.may_look_when_spent and endpoint == COUNTER_ENDPOINT
        try:
            lease_id, day = await self._store.lease(block, self._daily_limit, though_spent=look)
        except CallsRefused:
            if block == calls:
                raise
            block = calls
            lease_id, day = await self._store.lease(block, self._daily_limit, though_spent=look)
        lease = _Lease(lease_id, day, block)
        self._leases.append(lease)
        return lease

    def _unreserve(self, reservation: Reservation) -> None:
        reservation.lease.reserved -= reservation.calls

    def settle(self, reservation: Reservation, calls: int, *, error: bool) -> None:
        """The request is over and cost `calls`, at most what was reserved for it."""
        if not 0 <= calls <= reservation.calls:
            raise ValueError(f"{calls} calls settled of {reservation.calls} reserved")
        self._unreserve(reservation)
        reservation.lease.spent += calls
        key = (reservation.day, reservation.endpoint)
        self._usage.setdefault(key, Usage()).add(calls, error)

    def spending(self) -> Spending:
        """What Postgres does not know yet; to be followed by `recorded` once it does."""
        leases = tuple(
            (lease.id, lease.spent, lease.spent == lease.calls)
            for lease in self._leases
            if lease.spent != lease.recorded
        )
        usage = {
            key: Usage(used.requests, used.calls, used.errors) for key, used in self._usage.items()
        }
        return Spending(leases, usage)

    def recorded(self, spending: Spending) -> None:
        """The transaction with `spending` in it was committed."""
        spent = {lease_id: calls for lease_id, calls, _ in spending.leases}
        for lease in self._leases:
            lease.recorded = spent.get(lease.id, lease.recorded)
        self._leases = [
            lease
            for lease in self._leases
            if not (lease.recorded == lease.spent == lease.calls and lease.reserved == 0)
        ]
        for key, logged in spending.usage.items():
            used = self._usage[key]
            used.requests -= logged.requests
            used.calls -= logged.calls
            used.errors -= logged.errors
            if used.requests == 0:
                del self._usage[key]

    async def give_back(self) -> None:
        """Returns all that is not spent; what is still under way counts as spent."""
        leases, self._leases = self._leases, []
        for lease in leases:
            await self._store.return_lease(lease.id, lease.day, lease.spent + lease.reserved)

    # Slots

    async def _take_slot(self, reservation: Reservation) -> None:
        try:
            async with self._slotting:
                while True:
                    minute = self.now().replace(second=0, microsecond=0)
                    if self._slots > 0 and minute == self._minute:
                        self._slots -= 1
                        return
                    # A full minute stays full: no more is asked for until the next one.
                    if not (self._slots < 0 and minute == self._minute):
                        taken, slots = await self._store.take_slots(SLOTS)
                        self._minute, self._slots = taken, slots or -1
                        if slots:
                            if taken != self.now().replace(second=0, microsecond=0):
                                await asyncio.sleep(0.05)  # taken at the turn of the minute
                            continue
                    await asyncio.sleep(self._to_next_minute())
        except BaseException:
            self._unreserve(reservation)
            raise

    def _to_next_minute(self) -> float:
        now = self.now()
        following = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        return max(0.05, (following - now).total_seconds() + 0.05)

    async def wait_for_next_minute(self) -> None:
        """The vendor says that the minute is full: nothing is sent in the rest of it."""
        self._minute, self._slots = self.now().replace(second=0, microsecond=0), -1
        await asyncio.sleep(self._to_next_minute())
