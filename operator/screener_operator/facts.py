"""Core: what was observed of a run, in Postgres and of its Jobs. Values only; the adapters fill
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Counts:
    """Assets, each counted once: one with several items takes the first that applies of failed,
    deferred, succeeded, skipped.
    """

    discovered: int = 0
    planned: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    deferred: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.discovered + other.discovered,
            self.planned + other.planned,
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.deferred + other.deferred,
        )


@dataclass(frozen=True, slots=True)
class PlanRow:
    """What was first planned for a group by exchange, operation and way."""

    exchange: str
    operation: str
    way: str | None
    date_from: date | None
    date_to: date | None
    assets: int
    requests: int
    calls: int
    deferred: int
    choice: str | None = None
    """At an exchange's first row: what was chosen for it, in a sentence."""

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "PlanRow":
        """A row of `slices.plan`."""

        def day(name: str) -> date | None:
            return date.fromisoformat(row[name]) if row[name] else None

        return cls(**{**row, "date_from": day("date_from"), "date_to": day("date_to")})


@dataclass(frozen=True, slots=True)
class ScheduleDay:
    """The calls of a day until all that was due at the plan is done."""

    day: str
    prices: int
    actions: int
    fundamentals: int
    calls: int


@dataclass(frozen=True, slots=True)
class Slice:
    """A Job's worth of a run, as its worker and the plan left it. Items are counted where they
    were planned to be worked on.
    """

    kind: str
    name: str
    ordinal: int = 0
    started_at: datetime | None = None
    """When its Job was made; set once and for all, so that a Job that is gone is not made again."""
    finished_at: datetime | None = None
    reason: str | None = None
    message: str | None = None
    notes: tuple[str, ...] = ()
    waiting_reason: str | None = None
    waiting_since: datetime | None = None
    verified: bool | None = None
    verified_rows: int = 0
    deviation: float | None = None
    """The largest of the verified rows, relative."""
    counts: Counts = Counts()
    items_planned: int = 0
    items_open: int = 0
    items_succeeded: int = 0
    requests_planned: int = 0
    """Requests of its plan, those that serve no item included."""
    requests_open: int = 0
    deferred_by_day: int = 0
    """Items deferred because the day's calls are spent, by the plan or by the worker."""
    deferred_by_run: int = 0
    """Items deferred because spec.quota.maxCalls is reached."""
    plan: tuple[PlanRow, ...] = ()

    @property
    def nothing_planned(self) -> bool:
        """Whether there is nothing for a Job to do."""
        return self.items_planned == 0 and self.requests_planned == 0


@dataclass(frozen=True, slots=True)
class Execution:
    """The run's row of process_executions."""

    status: str
    started_at: datetime
    planned_at: datetime | None = None
    completed_at: datetime | None = None
    reason: str | None = None
    message: str | None = None
    schedule: tuple[ScheduleDay, ...] = ()

    @property
    def closed(self) -> bool:
        return self.status != "running"


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How often a run found a rule broken."""

    rule: str
    severity: str
    count: int


@dataclass(frozen=True, slots=True)
class Quality:
    """What a run found of the data: bars judged and set aside, findings that set none aside."""

    bars_checked: int = 0
    quarantined: int = 0
    flagged: int = 0
    rules: tuple[RuleCount, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All of Postgres that a reconcile looks at, read in one transaction. `execution` None: it was
    never opened.
    """

    execution: Execution | None = None
    slices: tuple[Slice, ...] = ()
    calls_planned: int = 0
    calls_used: int = 0
    calls_remaining_today: int | None = None
    keep_calls: int = 0
    """What the run must leave of the day, as its spec.quota.keepCalls says."""
    workers_alive: int = 0
    """Processes of the run's Jobs that may still store something; a pod outlives its Job."""
    quality: Quality = Quality()
    unknown_exchanges: tuple[str, ...] = ()
    """Exchanges that the spec names and the database lacks; only asked for an IndicatorRun."""

    def of_kind(self, kind: str) -> tuple[Slice, ...]:
        return tuple(
            sorted(
                (each for each in self.slices if each.kind == kind),
                key=lambda each: (each.ordinal, each.name),
            )
        )

    @property
    def counts(self) -> Counts:
        return sum((each.counts for each in self.slices), Counts())

    @property
    def items_planned(self) -> int:
        return sum(each.items_planned for each in self.slices)

    @property
    def items_open(self) -> int:
        return sum(each.items_open for each in self.slices)

    @property
    def items_succeeded(self) -> int:
        return sum(each.items_succeeded for each in self.slices)

    @property
    def kept(self) -> bool:
        """Whether the day has calls left that the run must not use."""
        return self.keep_calls > 0 and (self.calls_remaining_today or 0) > 0

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(note for each in self.slices for note in each.notes))


class JobState(StrEnum):
    """Only the conditions Complete and Failed end a Job; counts of pods do not."""

    ACTIVE = "active"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A Job that this run owns, and what is known of its last pod."""

    name: str
    kind: str
    group: str
    state: JobState = JobState.ACTIVE
    created_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    """The Job controller's, such as BackoffLimitExceeded."""
    exit_code: int | None = None
    pod_message: str | None = None
    """The termination message of the last pod that ended."""
    pod_waiting: str | None = None
    """Why a pod of an active Job cannot start."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that one reconcile looks at, apart from the run itself."""

    facts: Facts
    jobs: tuple[JobFacts, ...] = ()
    live_jobs: int = 0
    """Jobs of all runs that have not ended; counted only where one of this run is to start."""
    indicator_run: str | None = None
    """The name of the IndicatorRun that this run owns."""

    def job(self, kind: str, group: str) -> JobFacts | None:
        """The Job of a slice; the newest, should there be several."""
        found = [each for each in self.jobs if (each.kind, each.group) == (kind, group)]
        return max(
            found,
            key=lambda each: (each.created_at is not None, each.created_at, each.name),
            default=None,
        )
