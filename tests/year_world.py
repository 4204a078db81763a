"""Session after session in minutes: the vendor's clocks step, Postgres' clock goes with them, and
each step is a whole run: preflight, plan, groups, close, by the programs' own code in this process.
"""

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import httpx
import psycopg
from chaos_operator import Operator, collection_run
from database_clock import let_clock_be_set, set_clock
from psycopg.rows import dict_row
from simulator_fixture import Simulator
from system_fixture import Database

from screener_collector.__main__ import collect
from screener_collector.settings import Settings
from screener_operator.facts import JobFacts, JobState
from screener_sql.model import NEVER_RETRIED, ExitCode, SliceKind

STARTS = 20
"""Of one Job: more than any fault can make necessary."""


@contextmanager
def shared_tls_context() -> Iterator[None]:
    """One TLS context for all clients: each would read the same certificates, for plain HTTP."""
    transports = vars(httpx._transports.default)
    before, context = transports["create_ssl_context"], ssl.create_default_context()
    transports["create_ssl_context"] = lambda *_, **__: context
    try:
        yield
    finally:
        transports["create_ssl_context"] = before


@dataclass
class Year:
    """A database and a vendor that walk through time together."""

    database: Database
    simulator: Simulator
    spec: Mapping[str, Any]
    exchange: str
    """Whose sessions are walked."""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    sessions: int = 0
    _codes: dict[tuple[str, str, str], int | None] = field(default_factory=dict)

    def begin(self, moment: datetime) -> None:
        """Sets all clocks."""
        let_clock_be_set(self.database)
        text = moment.isoformat()
        self.simulator.admin("clock", {"data": text, "accounting": text})

    async def next_session(self, hours: float) -> None:
        """Steps so many hours beyond the publication of the next session, and runs a run."""
        step = {"exchange": self.exchange, "sessions": 1, "hours": hours}
        clock = self.simulator.admin("clock", {"step": step})
        self.now = datetime.fromisoformat(clock["accounting"])
        set_clock(self.database, self.now - datetime.now(UTC))
        self.sessions += 1
        await self._run(f"session-{self.sessions:03}")

    async def _run(self, uid: str) -> None:
        self._codes.clear()
        operator = Operator(
            self.database.urls["operator"], self._start_job, self._jobs, lambda: self.now
        )
        operator.add(collection_run(uid, dict(self.spec), self.now))
        try:
            for _ in range(50):
                operator.step()
                if operator.ended():
                    return
                due = [job for job, code in self._codes.items() if code is None]
                for job in due:
                    self._codes[job] = await self._work(*job)
                if not due:
                    # The operator before may hold its fence until Postgres has seen it leave.
                    await asyncio.sleep(0.1)
        finally:
            operator.die()
        raise AssertionError(f"{uid} never ended: {self._codes}")

    def _start_job(self, execution_id: str, kind: str, group: str) -> None:
        self._codes.setdefault((execution_id, str(kind), group), None)

    def _jobs(self, execution_id: str) -> list[JobFacts]:
        def state(code: int | None) -> JobState:
            if code is None:
                return JobState.ACTIVE
            return JobState.COMPLETE if code == ExitCode.DONE else JobState.FAILED

        return [
            JobFacts(f"{group}-1", kind, group, state=state(code), created_at=self.now)
            for (_, kind, group), code in self._codes.items()
        ]

    async def _work(self, execution_id: str, kind: str, group: str) -> int:
        settings = Settings(
            database_url=self.database.urls["collector"],
            token=self.simulator.token,
            base_url=self.simulator.url,
            daily_limit=100_000,
            execution_id=execution_id,
            slice=group,
            pod="pod-of-a-test",
            log_format="json",
        )
        for _ in range(STARTS):
            code = await collect(settings, SliceKind(kind))
            if code == ExitCode.DONE or code in NEVER_RETRIED:
                return code
        raise AssertionError(f"the Job of {group} in {execution_id} fails again and again")

    def rows(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """The rows of a query."""
        with psycopg.connect(self.database.owner_url, row_factory=dict_row) as owner:
            owner.execute("SET search_path TO financial_screener")
            return owner.execute(statement.encode(), parameters).fetchall()

    def published(self, exchange: str, first: date, last: date) -> dict[str, Any]:
        """What the vendor has published last."""
        answer: dict[str, Any] = self.simulator.admin(
            f"published?exchange={exchange}&from={first}&to={last}"
        )
        return answer
