"""Values for the tests of the operator's core: runs as the API server hands them out, and a little
world that obeys decisions.

The world is no fake of the API server or of Postgres: it only keeps what a decision wants done, to
see where a chain of them leads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from screener_operator import reconcile_collection
from screener_operator.actions import (
    Action,
    CloseExecution,
    CreateIndicatorRun,
    CreateJob,
    Decision,
    FailOpenItems,
    MakePlan,
    MarkStarted,
    OpenExecution,
)
from screener_operator.facts import (
    Counts,
    Execution,
    Facts,
    JobFacts,
    JobState,
    Observed,
    PlanRow,
    Slice,
)
from screener_operator.jobs import JobSettings
from screener_operator.resources import CollectionRun, IndicatorRun

NOW = datetime(2026, 11, 24, 22, 15, tzinfo=UTC)
UID = "0f8fad5b-d9cb-469f-a165-70867728950e"
JOBS = JobSettings(
    collector_image="registry.example/collector:1",
    analyzer_image="registry.example/analyzer:1",
    eodhd_base_url="https://vendor.example/api",
    eodhd_daily_limit=100_000,
)
SPEC: Mapping[str, Any] = {
    "groups": [
        {"name": "us", "exchanges": ["US"]},
        {"name": "european", "exchanges": ["PA", "MC"]},
    ],
    "operations": ["prices", "fundamentals"],
    "assetTypes": ["Common Stock"],
    "parallelism": 4,
    "quota": {"keepCalls": 0},
    "history": {"years": 2},
    "dryRun": False,
    "indicators": True,
}


def body(
    kind: str,
    spec: Mapping[str, Any],
    *,
    name: str = "daily",
    uid: str = UID,
    created: str = "2026-11-24T22:15:00Z",
    status: Mapping[str, Any] | None = None,
    deleting: bool = False,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": "financial-screener",
        "uid": uid,
        "generation": 3,
        "resourceVersion": "17",
        "creationTimestamp": created,
    }
    if deleting:
        metadata["deletionTimestamp"] = created
    result: dict[str, Any] = {
        "apiVersion": "financial-screener.io/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": dict(spec),
    }
    return result | ({"status": dict(status)} if status is not None else {})


def collection_run(spec: Mapping[str, Any] | None = None, **more: Any) -> CollectionRun:
    return CollectionRun.from_body(body("CollectionRun", {**SPEC, **(spec or {})}, **more))


def indicator_run(spec: Mapping[str, Any] | None = None, **more: Any) -> IndicatorRun:
    return IndicatorRun.from_body(
        body("IndicatorRun", {"mode": "changed", "workers": 1, **(spec or {})}, **more)
    )


def started(run: CollectionRun, **status: Any) -> CollectionRun:
    """The run once its startTime is written."""
    status = {"startTime": "2026-11-24T22:15:00Z", **status}
    return replace(run, meta=replace(run.meta, status=status))


def condition(status: Mapping[str, Any], type_: str) -> tuple[str, str]:
    """(status, reason) of a condition."""
    [found] = [each for each in status["conditions"] if each["type"] == type_]
    return found["status"], found["reason"]


def done_slice(
    name: str = "us",
    *,
    kind: str = "group",
    succeeded: int = 10,
    failed: int = 0,
    deferred: int = 0,
    still_open: int = 0,
    **more: Any,
) -> Slice:
    """A slice whose worker has ended, unless `finished_at` says otherwise."""
    planned = succeeded + failed + still_open
    values: dict[str, Any] = {
        "kind": kind,
        "name": name,
        "started_at": NOW,
        "finished_at": NOW,
        "counts": Counts(planned + deferred, planned, succeeded, failed, 0, deferred),
        "items_planned": planned,
        "items_open": still_open,
        "items_succeeded": succeeded,
        "deferred_by_day": deferred,
        "plan": (
            PlanRow(
                "US", "prices_bulk", "asset", date(2024, 11, 24), date(2026, 11, 23), planned,
                planned, planned, deferred,
            ),
        ),
    }  # fmt: skip
    return Slice(**{**values, **more})


PREFLIGHT_DONE = Slice("preflight", "preflight", started_at=NOW, finished_at=NOW)
OPEN = Execution("running", NOW)
PLANNED = Execution("running", NOW, planned_at=NOW)


def job(name: str = "daily-us-1", kind: str = "group", group: str = "us", **more: Any) -> JobFacts:
    return JobFacts(name=name, kind=kind, group=group, created_at=NOW, **more)


def observed(
    execution: Execution | None = PLANNED,
    slices: tuple[Slice, ...] = (),
    jobs: tuple[JobFacts, ...] = (),
    *,
    live_jobs: int | None = None,
    child: str | None = None,
    **facts: Any,
) -> Observed:
    live = sum(each.state is JobState.ACTIVE for each in jobs)
    return Observed(
        facts=Facts(execution=execution, slices=slices, **facts),
        jobs=jobs,
        live_jobs=live if live_jobs is None else live_jobs,
        indicator_run=child,
    )


class Crash(Exception):
    """The operator dies here."""


@dataclass
class World:
    """What decisions on one CollectionRun lead to; `work` is what its Jobs do meanwhile.

    `crash_at`: numbers of writes after which the operator dies, each once. `lose_jobs`: groups
    whose Job somebody deletes at once.
    """

    run: CollectionRun
    group_sizes: Mapping[str, int]
    crash_at: frozenset[int] = frozenset()
    lose_jobs: frozenset[str] = frozenset()
    fail_jobs: frozenset[str] = frozenset()
    status: dict[str, Any] = field(default_factory=dict)
    execution: Execution | None = None
    slices: dict[tuple[str, str], Slice] = field(default_factory=dict)
    jobs: dict[tuple[str, str], JobFacts] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    details: int = 0
    created: list[tuple[str, str]] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    writes: int = 0
    now: datetime = NOW

    def live(self, limit: int = 200) -> None:
        """Lets the operator reconcile, and die and be started again, until the run has ended."""
        for _ in range(limit):
            self.now += timedelta(seconds=1)
            try:
                again = self.step()
            except Crash:
                continue
            if "completionTime" in self.status:
                return
            if not again:
                self.work()
        raise AssertionError(f"the run never ended: {self.status}")

    def step(self) -> bool:
        run = replace(self.run, meta=replace(self.run.meta, status=dict(self.status)))
        decision: Decision = reconcile_collection.reconcile(
            run, others=[run], observed=self.look(), now=self.now, max_jobs=8
        )
        for action in decision.actions:
            self.do(action)
            self.wrote()
        if decision.status is not None and decision.status != self.status:
            self.status = decision.status
            self.phases.append(decision.status["phase"])
            self.wrote()
        return decision.again

    def wrote(self) -> None:
        self.writes += 1
        if self.writes in self.crash_at:
            raise Crash

    def look(self) -> Observed:
        return observed(
            self.execution,
            tuple(self.slices.values()),
            tuple(self.jobs.values()),
            child=self.children[0] if self.children else None,
        )

    def do(self, action: Action) -> None:
        match action:
            case OpenExecution():
                self.execution = self.execution or Execution("running", self.now)
                self.slices.setdefault(("preflight", "preflight"), Slice("preflight", "preflight"))
            case CreateJob(kind, group):
                if (kind, group) not in self.jobs:
                    self.created.append((kind, group))
                    self.jobs[kind, group] = JobFacts(
                        f"daily-{group}", kind, group, created_at=self.now
                    )
            case MarkStarted(kind, group):
                each = self.slices[kind, group]
                self.slices[kind, group] = replace(each, started_at=each.started_at or self.now)
            case MakePlan():
                self.plan()
            case FailOpenItems(_):
                for key, each in self.slices.items():
                    self.details += each.items_open
                    failed = each.counts.failed + each.items_open
                    self.slices[key] = replace(
                        each, items_open=0, counts=replace(each.counts, failed=failed)
                    )
            case CloseExecution(outcome, message):
                assert self.execution is not None
                assert not any(each.items_open for each in self.slices.values())
                if not self.execution.closed:
                    self.execution = replace(
                        self.execution,
                        status=outcome.status,
                        completed_at=self.now,
                        reason=str(outcome.reason),
                        message=message,
                    )
            case CreateIndicatorRun():
                if self.run.meta.name not in self.children:
                    self.children.append(self.run.meta.name)

    def plan(self) -> None:
        assert self.execution is not None
        if self.execution.planned_at is not None:
            return
        self.execution = replace(self.execution, planned_at=self.now)
        for ordinal, (name, size) in enumerate(self.group_sizes.items()):
            self.slices["group", name] = Slice(
                "group",
                name,
                ordinal,
                counts=Counts(discovered=size, planned=size),
                items_planned=size,
                items_open=size,
            )

    def work(self) -> None:
        """Every active Job gets its slice done, or is lost, or fails."""
        for (kind, group), each in list(self.jobs.items()):
            if each.state is not JobState.ACTIVE:
                continue
            if group in self.lose_jobs:
                del self.jobs[kind, group]
                continue
            if group in self.fail_jobs:
                self.jobs[kind, group] = replace(
                    each, state=JobState.FAILED, exit_code=1, ended_at=self.now
                )
                continue
            found = self.slices[kind, group]
            self.details += found.items_open
            self.slices[kind, group] = replace(
                found,
                finished_at=self.now,
                items_open=0,
                items_succeeded=found.items_planned,
                counts=replace(found.counts, succeeded=found.counts.planned),
            )
            self.jobs[kind, group] = replace(
                each, state=JobState.COMPLETE, exit_code=0, ended_at=self.now
            )
