"""The calls and request slots of this worker: reserved before a request, settled after its answer.

Nothing is sent that was not reserved in Postgres first, so all workers together stay within the
limits of day, run and minute, whatever becomes of one of them. Knows the store, never the vendor.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from time import monotonic

from screener_collector import endpoints
from screener_collector.clock import Skew
from screener_collector.store import CallsRefused, Leased, Store
from screener_collector.work import Spending, Usage
from screener_sql.model import ErrorCode

LEASE_CALLS = 100
"""The most that is leased at once beyond a request's own: what a killed worker takes with it for
the rest of the day."""
SLOTS = 20
"""The most request slots that are taken at once, with the calls of as many requests."""
COUNTER_ENDPOINT = endpoints.user().name
WAIT_FOR_READING_S = 0.25
"""Between two looks whether another worker has read the vendor's counter."""
WAIT_FOR_SLOTS_S = 1.0
"""Until slots are asked for again when other workers have taken all of the next minutes."""
CLOCK_WAS_SET = timedelta(seconds=5)
MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class _Lease:
    id: int
    day: date
    also_day: date | None
    valid_until: datetime
    calls: int
    spent: int = 0
    unknown: int = 0
    """Of `spent`: for requests of which no end was seen."""
    reserved: int = 0
    """In requests that are under way."""
    recorded: tuple[int, int] = (0, 0)
    """Of `spent` and `unknown`, what Postgres knows."""

    @property
    def free(self) -> int:
        return self.calls - self.spent - self.reserved

    @property
    def days(self) -> tuple[date, ...]:
        return (self.day,) if self.also_day is None else (self.also_day, self.day)


@dataclass(frozen=True, slots=True)
class _Slot:
    at: datetime
    """Not to be used earlier, by the vendor's clock."""
    void_at: datetime
    """The end of its minute."""


@dataclass(slots=True)
class Reservation:
    """Calls for one request, until it is settled."""

    endpoint: str
    calls: int
    day: date
    """The GMT day on which it is sent, by the vendor's clock."""
    parts: tuple[tuple[_Lease, int], ...]
    slot: _Slot | None = None


class Ledger:
    """One worker's leases and slots.

    `ahead(n)` tells the calls of up to n requests that it will send next. `read_counter` reads the
    vendor's counter; it is called when that is due.
    """

    def __init__(
        self,
        store: Store,
        daily_limit: int,
        ahead: Callable[[int], Sequence[int]] = lambda count: (),
    ) -> None:
        self._store = store
        self._daily_limit = daily_limit
        self.ahead = ahead
        self.read_counter: Callable[[], Awaitable[None]] | None = None
        self._leases: list[_Lease] = []
        self._slots: deque[_Slot] = deque()
        self._usage: dict[tuple[date, str], Usage] = {}
        self._turn = asyncio.Lock()
        self._waiting: deque[int] = deque()
        self._reading: asyncio.Task[None] | None = None
        self._spent_day: date | None = None
        self._day: date | None = None
        self._full_until = datetime.min.replace(tzinfo=UTC)
        self._began = datetime.now(UTC) - timedelta(seconds=monotonic())
        self._skew = timedelta()
        self._seen = Skew()
        self._requests_per_minute: int | None = None

    # Clocks

    async def set_clock(self) -> None:
        """Learns Postgres' time, which all workers share."""
        self._began = await self._store.clock() - timedelta(seconds=monotonic())

    def now(self) -> datetime:
        """The time by Postgres' clock, in UTC; it goes on evenly when this machine's is set."""
        return self._began + timedelta(seconds=monotonic())

    def vendor_now(self) -> datetime:
        """The time by the vendor's clock, as far as it is known."""
        return self.now() + self._skew

    async def see_date(self, date: datetime, sent: datetime, received: datetime) -> None:
        """An answer's Date header, and when it was sent for and received, by `now`."""
        self._seen.see(date, sent, received)
        better = self._seen.corrects(self._skew)
        if better is not None:
            self._skew = better
            await self._store.set_clock_skew(better)

    async def see_requests_per_minute(self, limit: int) -> None:
        """What an answer's header says of the minute."""
        if limit != self._requests_per_minute:
            self._requests_per_minute = limit
            self._slots.clear()
            await self._store.set_requests_per_minute(limit)

    # Calls and slots

    async def reserve(self, endpoint: str, calls: int) -> Reservation:
        """Calls of the day and a slot of the minute for one request. Raises CallsRefused.

        Returns when the request may be sent, and is to be sent at once.
        """
        while True:
            reservation = await self._reserve(endpoint, calls)
            assert reservation.slot is not None
            try:
                wait = (reservation.slot.at - self.vendor_now()).total_seconds()
                if wait > 0:
                    await asyncio.sleep(wait)
            except BaseException:
                self._unreserve(reservation)
                self._slots.appendleft(reservation.slot)
                raise
            # Waiting for it may have taken until another minute or day, also of a frozen process.
            now = self.vendor_now()
            if now < min(
                reservation.slot.void_at, *(lease.valid_until for lease, _ in reservation.parts)
            ):
                reservation.day = now.date()
                return reservation
            self._unreserve(reservation)

    async def _reserve(self, endpoint: str, calls: int) -> Reservation:
        self._waiting.append(calls)
        try:
            while True:
                async with self._turn:
                    wait_s = 0.0
                    # What it leased is its own first: those behind it are for later.
                    while not wait_s:
                        reservation = self._take(endpoint, calls)
                        if reservation is not None:
                            return reservation
                        wait_s = await self._lease(endpoint, calls)
                # Without the turn, as reading the counter needs it.
                await asyncio.sleep(wait_s)
        finally:
            self._waiting.remove(calls)

    def _take(self, endpoint: str, calls: int) -> Reservation | None:
        """Of what is leased; None where it does not reach. Raises CallsRefused."""
        now = self.vendor_now()
        if self._spent_day == now.date():
            raise CallsRefused(ErrorCode.DAILY_LIMIT)
        while self._slots and self._slots[0].void_at <= now:
            self._slots.popleft()
        if not self._slots or self._full_until > now or self._free(now) < calls:
            return None
        return Reservation(
            endpoint, calls, now.date(), self._draw(now, calls), self._slots.popleft()
        )

    def _free(self, now: datetime) -> int:
        return sum(lease.free for lease in self._leases if lease.valid_until > now)

    def _draw(self, now: datetime, calls: int) -> tuple[tuple[_Lease, int], ...]:
        """Takes from the oldest leases first, so that no rest is too small to be of use."""
        parts = []
        for lease in self._leases:
            part = min(calls, lease.free) if lease.valid_until > now else 0
            if part:
                lease.reserved += part
                calls -= part
                parts.append((lease, part))
        return tuple(parts)

    async def _lease(self, endpoint: str, calls: int) -> float:
        """Leases what the next requests need; seconds to wait until it can be tried again.

        Raises CallsRefused.
        """
        now = self.vendor_now()
        if self._full_until > now:
            return (self._full_until - now).total_seconds()
        if self._reading is not None and self._reading.done():
            self._reading.result()  # Postgres may have gone away
            self._reading = None
        await self._return_void(now)
        await asyncio.sleep(0)  # those that begin at the same moment say what they need
        others = [*islice(self._waiting, 1, SLOTS)]
        others += self.ahead(SLOTS - 1 - len(others))
        free = self._free(now)
        needed = max(0, calls - free)
        limit = self._requests_per_minute
        leased = await self._store.lease(
            needed=needed,
            wanted=max(needed, min(LEASE_CALLS, calls + sum(others)) - free),
            requests=0 if self._slots else 1 + len(others),
            daily_limit=self._daily_limit,
            for_reading=endpoint == COUNTER_ENDPOINT,
            # Midnight has passed since this worker began, so nobody may have read the counter.
            new_day=self._day is not None and now.date() > self._day,
        )
        self._take_in(leased)
        if leased.read_counter:
            self._start_reading()
        if leased.outcome == "reading_due":
            return WAIT_FOR_READING_S
        if leased.outcome != "leased":
            raise CallsRefused(ErrorCode(leased.outcome))
        if limit != self._requests_per_minute != leased.requests_per_minute:
            # An answer that came meanwhile told another limit than these slots are of.
            self._slots.clear()
            return 0.0
        # Without slots other workers have taken those of the minutes to come.
        return 0.0 if self._slots else WAIT_FOR_SLOTS_S

    def _take_in(self, leased: Leased) -> None:
        began = leased.told_at - timedelta(seconds=monotonic())
        # It was told a moment ago, so the latest is the truest; unless a clock was set.
        self._began = began if abs(began - self._began) > CLOCK_WAS_SET else max(began, self._began)
        self._skew = leased.clock_skew
        self._requests_per_minute = self._requests_per_minute or leased.requests_per_minute
        self._day = self._day or self.vendor_now().date()
        if leased.lease_id is not None:
            self._leases.append(
                _Lease(
                    leased.lease_id,
                    leased.day,
                    leased.also_day,
                    leased.valid_until,
                    leased.calls,
                )
            )
        if leased.minute is not None:
            self._slots.extend(
                _Slot(leased.minute + MINUTE * slot / leased.minute_slots, leased.minute + MINUTE)
                for slot in range(leased.first_slot, leased.first_slot + leased.slots)
            )

    def _start_reading(self) -> None:
        if self.read_counter is not None and self._reading is None:
            self._reading = asyncio.ensure_future(self.read_counter())

    def _unreserve(self, reservation: Reservation) -> None:
        for lease, part in reservation.parts:
            lease.reserved -= part

    def settle(
        self, reservation: Reservation, calls: int, *, error: bool, ended: bool = True
    ) -> None:
        """The request is over and cost `calls`, at most what was reserved for it.

        Not `ended`: no end of it was seen, so the vendor may still count it.
        """
        if not 0 <= calls <= reservation.calls:
            raise ValueError(f"{calls} calls settled of {reservation.calls} reserved")
        self._unreserve(reservation)
        left = calls
        for lease, part in reservation.parts:
            lease.spent += min(left, part)
            lease.unknown += 0 if ended else min(left, part)
            left -= min(left, part)
        key = (reservation.day, reservation.endpoint)
        self._usage.setdefault(key, Usage()).add(calls, error)

    async def day_is_spent(self) -> None:
        """The vendor says so (402): nothing more is sent until 00:00 GMT, by any worker."""
        self._spent_day = self.vendor_now().date()
        await self._store.mark_spent(self._spent_day)

    async def minute_is_full(self, *, for_s: float | None) -> None:
        """The vendor refuses for the minute (429): nothing is sent for so long, or in its rest."""
        now = self.vendor_now()
        minute = now.replace(second=0, microsecond=0)
        if for_s is not None:
            self._full_until = max(self._full_until, now + timedelta(seconds=for_s))
            return
        self._full_until = max(self._full_until, minute + MINUTE)
        self._slots.clear()
        await self._store.fill_minute(minute)

    # What Postgres knows of it

    def spending(self) -> Spending:
        """What Postgres does not know yet; to be followed by `recorded` once it does."""
        leases = tuple(
            (lease.id, lease.spent, lease.unknown)
            for lease in self._leases
            if (lease.spent, lease.unknown) != lease.recorded
        )
        usage = {
            key: Usage(used.requests, used.calls, used.errors) for key, used in self._usage.items()
        }
        return Spending(leases, usage)

    def recorded(self, spending: Spending) -> None:
        """The transaction with `spending` in it was committed."""
        known = {lease_id: (spent, unknown) for lease_id, spent, unknown in spending.leases}
        for lease in self._leases:
            lease.recorded = known.get(lease.id, lease.recorded)
        self._leases = [lease for lease in self._leases if lease.recorded[0] < lease.calls]
        for key, logged in spending.usage.items():
            used = self._usage[key]
            used.requests -= logged.requests
            used.calls -= logged.calls
            used.errors -= logged.errors
            if used.requests == 0:
                del self._usage[key]

    def finished(self) -> dict[int, int]:
        """By lease, the calls of requests that are known to have ended."""
        return {lease.id: lease.spent - lease.unknown for lease in self._leases}

    async def stop_reading(self) -> None:
        """Reads the counter no more; to be called before the last spending is recorded."""
        self.read_counter = None
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None

    async def give_back(self) -> None:
        """Returns all that is not spent; what is still under way counts as spent."""
        await self._return(self._leases)
        self._leases = []

    async def give_back_idle(self) -> None:
        """Returns what is left of leases of which nothing is under way."""
        idle = [lease for lease in self._leases if lease.reserved == 0]
        self._leases = [lease for lease in self._leases if lease.reserved > 0]
        await self._return(idle)

    async def _return_void(self, now: datetime) -> None:
        """Returns what is left of leases of a day that is over."""
        void = [lease for lease in self._leases if lease.valid_until <= now and lease.reserved == 0]
        await self._return(void)
        self._leases = [lease for lease in self._leases if lease not in void]

    async def _return(self, leases: Sequence[_Lease]) -> None:
        if leases:
            await self._store.return_leases(
                sorted({day for lease in leases for day in lease.days}),
                [
                    (lease.id, lease.spent + lease.reserved, lease.unknown + lease.reserved)
                    for lease in leases
                ],
            )
