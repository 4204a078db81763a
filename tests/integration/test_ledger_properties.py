"""Whatever happens in whatever order: our count of a day is never below the vendor's, and nothing
arrives at the vendor beyond its limit.

Hypothesis plays workers that lease, send, hear or do not hear of the end, record, die, freeze and
wake, readings that are sent and applied apart, calls given back, and midnight; the vendor is a
count a day. The ledger is the real one, in Postgres.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from collector_world import Owner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profile import TIMES
from market import open_execution
from psycopg.rows import TupleRow, namedtuple_row
from psycopg.types.json import Jsonb

from screener_sql import query

pytestmark = pytest.mark.integration

LIMIT, MAX_CALLS = 60, 90
DAY = date(2026, 3, 1)
CLOCKS = ("12:00:00", "23:56:40", "23:59:59", "00:00:10", "00:00:40", "12:00:00")
"""Moments of a day and the next that the vendor's clock is moved to, one after another."""


@dataclass
class Lease:
    id: int
    days: tuple[date, ...]
    calls: int
    spent: int = 0
    unknown: int = 0


@dataclass
class Request:
    """Sent, but not counted by the vendor yet; or counted, but not heard of."""

    lease: Lease
    calls: int
    counted: bool = False


@dataclass
class Play:
    """The state of a game, with the vendor's counts beside the real ledger."""

    owner: psycopg.Connection[TupleRow]
    workers: list[int]
    vendor: dict[date, int] = field(default_factory=dict)
    others_used: dict[date, int] = field(default_factory=dict)
    others_seen: dict[date, int] = field(default_factory=dict)
    """Of them, by the latest reading."""
    leases: list[Lease] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    readings: list[tuple[Any, int, int]] = field(default_factory=list)
    step: int = 0

    @property
    def today(self) -> date:
        return DAY + timedelta(days=self.step >= 3)

    def run(self, name: str, **parameters: Any) -> list[Any]:
        cursor = self.owner.cursor(row_factory=namedtuple_row)
        cursor.execute(query(f"collector/{name}"), parameters)
        return cursor.fetchall() if cursor.description else []

    def move_clock(self, _: int) -> None:
        self.step = min(self.step + 1, len(CLOCKS) - 1)
        self.set_clock()

    def set_clock(self) -> None:
        self.owner.execute(
            "INSERT INTO financial_screener.vendor_account (clock_skew, daily_limit)"
            " VALUES (((%s::date + %s::time) AT TIME ZONE 'UTC') - clock_timestamp(), %s)"
            " ON CONFLICT (only_row) DO UPDATE SET clock_skew = excluded.clock_skew",
            (self.today, CLOCKS[self.step], LIMIT),
        )

    def lease(self, n: int) -> None:
        [got] = self.run(
            "lease",
            execution_id="run",
            worker_id=self.workers[n % 2],
            needed=1 + n % 4,
            wanted=1 + n % 9 + n % 4,
            requests=0,
            daily_limit=1000,
            for_reading=False,
            new_day=False,
        )
        if got.outcome == "leased":
            days = tuple(day for day in (got.also_day, got.day) if day)
            self.leases.append(Lease(got.lease_id, days, got.calls))

    def send(self, n: int) -> None:
        """A request on any lease that the clock allows; also of a worker that was thought dead."""
        able = [
            lease
            for lease in self.leases
            if lease.spent + self.under_way(lease) < lease.calls and self.today in lease.days
        ]
        if able:
            self.requests.append(Request(able[n % len(able)], 1))

    def under_way(self, lease: Lease) -> int:
        return sum(request.calls for request in self.requests if request.lease is lease)

    def arrive(self, n: int) -> None:
        """The vendor counts it, on the day that it has, which is one that it was charged to."""
        waiting = [request for request in self.requests if not request.counted]
        if waiting:
            request = waiting[n % len(waiting)]
            request.counted = True
            # What was frozen over midnight arrives on the day after, as an open lease may.
            day = self.today
            self.vendor[day] = self.vendor.get(day, 0) + request.calls
            assert self.vendor[day] - self.others_used.get(day, 0) <= LIMIT

    def answer(self, n: int) -> None:
        counted = [request for request in self.requests if request.counted]
        if counted:
            request = counted[n % len(counted)]
            self.requests.remove(request)
            request.lease.spent += request.calls

    def give_up(self, n: int) -> None:
        """No end is seen, and the vendor may still count it."""
        if self.requests:
            request = self.requests[n % len(self.requests)]
            request.lease.spent += request.calls
            request.lease.unknown += request.calls
            if request.counted:
                self.requests.remove(request)
            else:
                request.calls, hidden = 0, request.calls
                self.requests.remove(request)
                self.requests.append(Request(Lease(0, request.lease.days, 0), hidden))

    def record(self, n: int) -> None:
        known = [lease for lease in self.leases if lease.id]
        if known:
            lease = known[n % len(known)]
            self.run("spend_leases", ids=[lease.id], spent=[lease.spent], unknown=[lease.unknown])

    def give_back(self, n: int) -> None:
        """Its worker ends in order; a worker that dies does nothing at all."""
        idle = [lease for lease in self.leases if not self.under_way(lease)]
        if idle:
            lease = idle[n % len(idle)]
            self.leases.remove(lease)
            self.run("lock_budget", execution_id="run")
            self.run("lock_days", days=list(lease.days))
            self.run("return_leases", ids=[lease.id], spent=[lease.spent], unknown=[lease.unknown])

    def others(self, n: int) -> None:
        """Another client of the key, whose calls a reading shows."""
        self.vendor[self.today] = self.vendor.get(self.today, 0) + n % 7
        self.others_used[self.today] = self.others_used.get(self.today, 0) + n % 7

    def ask_counter(self, _: int) -> None:
        [before] = self.run("before_reading")
        if before.leased_since_reading is not None:
            day = before.day
            self.readings.append((before, self.vendor.get(day, 0), self.others_used.get(day, 0)))

    def apply_reading(self, n: int) -> None:
        if self.readings:
            before, shown, others = self.readings.pop(n % len(self.readings))
            self.run("lock_days", days=[before.day])
            took = self.run(
                "reconcile_day",
                day=before.day,
                sent_at=before.sent_at,
                newest=before.newest,
                leased_since_reading=before.leased_since_reading,
                finished=Jsonb(before.finished),
                vendor_used=shown,
                vendor_limit=LIMIT,
                extra_limit=0,
                daily_limit=1000,
            )
            if took:
                self.others_seen[before.day] = others

    def check(self) -> None:
        rows = self.owner.execute(
            "SELECT day, calls_used, calls_returned FROM financial_screener.api_daily_quota"
        ).fetchall()
        ours = {day: (used, returned) for day, used, returned in rows}
        for day, (used, returned) in ours.items():
            unseen = self.others_used.get(day, 0) - self.others_seen.get(day, 0)
            assert used - returned + unseen >= self.vendor.get(day, 0)
        [(budget,)] = self.owner.execute(
            "SELECT calls_used FROM financial_screener.execution_budgets"
        ).fetchall()
        assert budget <= MAX_CALLS


MOVES: dict[str, Callable[[Play, int], None]] = {
    "lease": Play.lease,
    "send": Play.send,
    "arrive": Play.arrive,
    "answer": Play.answer,
    "give up": Play.give_up,
    "record": Play.record,
    "give back": Play.give_back,
    "others": Play.others,
    "ask the counter": Play.ask_counter,
    "apply a reading": Play.apply_reading,
    "move the clock": Play.move_clock,
}
USUAL = ("lease", "send", "arrive", "answer", "record")


@settings(max_examples=80 * TIMES)
@given(
    moves=st.lists(
        st.tuples(st.sampled_from([*MOVES, *USUAL]), st.integers(0, 30)),
        min_size=10,
        max_size=60,
    )
)
def test_our_count_is_never_below_the_vendors(owner: Owner, moves: list[tuple[str, int]]) -> None:
    owner.execute(
        "TRUNCATE financial_screener.api_leases, financial_screener.api_daily_quota,"
        " financial_screener.execution_budgets, financial_screener.vendor_account,"
        " financial_screener.process_executions CASCADE"
    )
    open_execution(owner, "run", max_calls=MAX_CALLS)
    play = Play(owner, [1, 2])
    play.set_clock()
    for name, n in moves:
        MOVES[name](play, n)
        play.check()
