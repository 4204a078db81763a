"""Carries out what the reconciles decide, a step at a time, and is the one writer of `.status`.
Decides nothing itself.

Each step looks at everything anew: the run, then its Jobs, then Postgres; in this order, so that
whatever a Job's end implies is in the rows that are read after it. The fence is asked for before
every write, and nothing is written twice: not the same status, not a child that the run owns, not
a row.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from screener_operator import events, jobs, reconcile_collection, reconcile_indicator
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
from screener_operator.cluster import Cluster, Conflict, NotFound, job_facts, owned_by
from screener_operator.facts import Facts, JobState, Observed
from screener_operator.jobs import JobSettings
from screener_operator.reasons import Reason
from screener_operator.resources import (
    COLLECTION_RUN,
    INDICATOR_RUN,
    PLURALS,
    CollectionRun,
    IndicatorRun,
    Meta,
    OtherRun,
)
from screener_operator.status import only_reconciling
from screener_operator.store import FenceHeldElsewhere, Store
from screener_sql.errors import DatabaseUnreachable, ScreenerError
from screener_sql.model import SliceKind

logger = logging.getLogger(__name__)

STEPS_AT_ONCE = 20
"""A run needs fewer; more would be two steps that undo each other, which must not keep others from
their turn.
"""
WATCH_SECONDS = 1.0
"""Between two looks at a run whose Jobs are at work, for its progress shows in rows, which send no
events.
"""
WATCH_SHARE = 20
"""A look that takes long is repeated later: at most one part in so many of the time is spent
looking.
"""
WATCH_SECONDS_AT_MOST = 30.0
LAST_WORKERS_SECONDS = 60.0
"""For the pods of a Job that failed or was deleted to store what they have, before their run is
closed: twice what they are given to end.
"""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that a look at everything has found not ended."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a look at everything has found. `listed`: (kind, name) to the resource version, of
    every run.
    """

    unfinished: tuple[Unfinished, ...]
    listed: Mapping[tuple[str, str], str]
    look_again: bool = False
    """Whether something deleted is still on its way out."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    """`wrote` is called after every write, with a word for it: tests stop the operator there."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        *,
        job_settings: JobSettings,
        namespace: str,
        max_jobs: int,
        instance: str = jobs.MANAGER,
        now: Callable[[], datetime] = utc_now,
        wrote: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._job_settings = job_settings
        self._namespace = namespace
        self._max_jobs = max_jobs
        self._instance = instance
        self._now = now
        self._wrote = wrote
        self._workers_seen: dict[str, float] = {}
        """When a run that is to be closed was first seen to have workers yet, by its uid."""

    def reconcile(self, kind: str, name: str) -> float | None:
        """Takes a run as far as it goes now. Returns in how many seconds to look again; None: an
        event will tell.

        Raises DatabaseUnreachable or FenceHeldElsewhere, which the run's status then says, and
        ClusterError.
        """
        began = time.monotonic()
        for _ in range(STEPS_AT_ONCE):
            try:
                decision = self._step(kind, name)
            except NotFound:
                return None
            except Conflict:
                logger.debug("somebody wrote in between; looking again", exc_info=True)
                continue
            if not decision.again:
                break
        else:
            return WATCH_SECONDS
        if not decision.watch:
            return None
        looked = time.monotonic() - began
        return min(WATCH_SECONDS_AT_MOST, max(WATCH_SECONDS, WATCH_SHARE * looked))

    def sweep(self) -> Sweep:
        """Looks at everything: finds the runs that have not ended, and closes the executions of
        those that were deleted.
        """
        look_again = False
        try:
            # Read before the runs: an execution whose run is not among them afterwards has lost it.
            running = self._store.running_executions(self._namespace)
        except (DatabaseUnreachable, FenceHeldElsewhere) as error:
            logger.warning("%s", error, extra={"action": "sweep_without_database"})
            running = []
        bodies = {kind: self._cluster.runs(kind) for kind in PLURALS}
        uids = {body["metadata"]["uid"] for found in bodies.values() for body in found}
        for execution in running:
            if execution.execution_id in uids:
                continue
            if self._cluster.jobs(run_uid=execution.execution_id):
                look_again = True
                continue
            workers = self._store.workers_alive(execution.execution_id)
            if self._waits_for_workers(execution.execution_id, workers):
                look_again = True
                continue
            self._store.close_deleted(execution.execution_id)
            self._workers_seen.pop(execution.execution_id, None)
            self._wrote("close deleted")
            logger.info(
                "run %s was deleted; its execution is closed",
                execution.run_name,
                extra={"action": "closed_deleted", "execution_id": execution.execution_id},
            )
        return Sweep(
            unfinished=tuple(
                Unfinished(kind, body["metadata"]["name"])
                for kind, found in bodies.items()
                for body in found
                if not Meta.from_body(kind, body).finished
            ),
            listed={
                (kind, body["metadata"]["name"]): body["metadata"]["resourceVersion"]
                for kind, found in bodies.items()
                for body in found
            },
            look_again=look_again,
        )

    def unfinished(self, kind: str) -> list[str]:
        """The names of a kind's runs that have not ended."""
        return [
            body["metadata"]["name"]
            for body in self._cluster.runs(kind)
            if not Meta.from_body(kind, body).finished
        ]

    def _step(self, kind: str, name: str) -> Decision:
        body = self._cluster.run(kind, name)
        meta = Meta.from_body(kind, body)
        if meta.finished or meta.deleting:
            return Decision()
        try:
            if kind == COLLECTION_RUN:
                return self._collection_step(CollectionRun.from_body(body), body)
            return self._indicator_step(IndicatorRun.from_body(body), body)
        except DatabaseUnreachable as error:
            said = str(error).rstrip(".")
            self._write_waiting(body, meta, Reason.DATABASE_UNREACHABLE, said)
            raise
        except FenceHeldElsewhere:
            said = "another operator holds the lock in Postgres and does the work"
            self._write_waiting(body, meta, Reason.WAITING_FOR_LOCK, said)
            raise

    def _collection_step(self, run: CollectionRun, body: Mapping[str, Any]) -> Decision:
        now = self._now()
        others = (
            [
                OtherRun.from_body(COLLECTION_RUN, each)
                for each in self._cluster.runs(COLLECTION_RUN)
            ]
            if not run.meta.started
            else []
        )
        observed = self._observe(run, now)
        decision = reconcile_collection.reconcile(
            run, others=others, observed=observed, now=now, max_jobs=self._max_jobs
        )
        return self._carry_out(decision, run, observed, body, now)

    def _indicator_step(self, run: IndicatorRun, body: Mapping[str, Any]) -> Decision:
        now = self._now()
        others = (
            [OtherRun.from_body(INDICATOR_RUN, each) for each in self._cluster.runs(INDICATOR_RUN)]
            if not run.meta.started
            else []
        )
        observed = self._observe(run, now, exchanges=run.exchange_codes or ())
        decision = reconcile_indicator.reconcile(
            run, others=others, observed=observed, now=now, max_jobs=self._max_jobs
        )
        return self._carry_out(decision, run, observed, body, now)

    def _observe(
        self,
        run: CollectionRun | IndicatorRun,
        now: datetime,
        *,
        exchanges: tuple[str, ...] = (),
    ) -> Observed:
        uid = run.meta.uid
        found = self._cluster.jobs(run_uid=uid) if run.meta.start_time else []
        own = [job for job in found if owned_by(job, uid)]
        # A pod tells why a Job failed, or why it does not get going.
        pods = self._cluster.pods(uid) if any(map(_not_complete, own)) else []
        facts = self._store.facts(uid, now, exchanges=exchanges)
        child = None
        if isinstance(run, CollectionRun) and facts.execution and facts.execution.closed:
            child = next(
                (
                    each["metadata"]["name"]
                    for each in self._cluster.runs(INDICATOR_RUN)
                    if owned_by(each, uid)
                ),
                None,
            )
        return Observed(
            facts=facts,
            jobs=tuple(job_facts(job, pods, now) for job in own),
            live_jobs=self._live_jobs(run.meta, facts, now),
            indicator_run=child,
        )

    def _live_jobs(self, meta: Meta, facts: Facts, now: datetime) -> int:
        """Those of all runs; counted only where one of this run is still to be started."""
        execution = facts.execution
        if not meta.started or (execution is not None and execution.closed):
            return 0
        if execution is not None and not any(
            each.started_at is None and (each.items_planned or each.kind == SliceKind.PREFLIGHT)
            for each in facts.slices
        ):
            return 0
        return sum(job_facts(job, [], now).state is JobState.ACTIVE for job in self._cluster.jobs())

    def _carry_out(
        self,
        decision: Decision,
        run: CollectionRun | IndicatorRun,
        observed: Observed,
        body: Mapping[str, Any],
        now: datetime,
    ) -> Decision:
        """What was done of it; all, unless the run's last workers are waited for."""
        workers = observed.facts.workers_alive if decision.ends_work else 0
        if self._waits_for_workers(run.meta.uid, workers):
            decision = decision.put_off()
        for action in decision.actions:
            self._do(action, run, now)
            self._wrote(type(action).__name__)
        if decision.status is not None:
            self._write_status(body, run.meta, decision.status, now)
        return decision

    def _waits_for_workers(self, uid: str, workers: int) -> bool:
        """Whether a run that is to be closed must wait for its last `workers`, for a while."""
        if not workers:
            self._workers_seen.pop(uid, None)
            return False
        first_seen = self._workers_seen.setdefault(uid, time.monotonic())
        return time.monotonic() - first_seen < LAST_WORKERS_SECONDS

    def _do(self, action: Action, run: CollectionRun | IndicatorRun, now: datetime) -> None:
        uid = run.meta.uid
        said: Mapping[str, Any] = {"run": run.meta.name, "execution_id": uid}
        match action:
            case OpenExecution():
                self._store.open_execution(run, run.meta.start_time or now)
                logger.info("run %s is open", run.meta.name, extra={"action": "opened", **said})
            case CreateJob(kind, group):
                self._store.hold_fence()
                name = self._cluster.ensure_job(self._manifest(kind, group, run))
                logger.info(
                    "Job %s was created", name, extra={"action": "job_created", "job": name, **said}
                )
            case MarkStarted(kind, group):
                self._store.mark_started(uid, kind, group)
            case MakePlan():
                self._store.make_plan(run, now)
                logger.info("run %s is planned", run.meta.name, extra={"action": "plan", **said})
            case FailOpenItems(messages):
                self._store.fail_open_items(uid, dict(messages))
            case CloseExecution(outcome, message):
                self._store.close_execution(uid, outcome, message)
                logger.info(
                    "run %s is closed: %s (%s)",
                    run.meta.name,
                    outcome.status,
                    outcome.reason,
                    extra={"action": "closed", "outcome": outcome.status, **said},
                )
            case CreateIndicatorRun():
                assert isinstance(run, CollectionRun)  # no other kind asks for it
                self._store.hold_fence()
                name = self._cluster.ensure_run(jobs.indicator_run(run))
                logger.info(
                    "IndicatorRun %s was created",
                    name,
                    extra={"action": "indicator_run_created", **said},
                )

    def _manifest(self, kind: str, group: str, run: CollectionRun | IndicatorRun) -> dict[str, Any]:
        if isinstance(run, IndicatorRun):
            return jobs.indicators_job(run, self._job_settings)
        if kind == SliceKind.PREFLIGHT:
            return jobs.preflight_job(run, self._job_settings)
        return jobs.group_job(run, group, self._job_settings)

    def _write_status(
        self, body: Mapping[str, Any], meta: Meta, status: dict[str, Any], now: datetime
    ) -> None:
        if status == meta.status:
            return
        # Before the status, as a restart in between tells them again, under the same names.
        for transition in events.transitions(meta.status, status):
            self._store.hold_fence()
            self._tell(events.event(meta, transition, now, self._instance))
        self._store.hold_fence()
        self._cluster.put_status(body, status)
        self._wrote("status")

    def _tell(self, event: Mapping[str, Any]) -> None:
        """Events are for people: the status holds the same, so one that cannot be told holds
        nothing up.
        """
        try:
            if self._cluster.create_event(event):
                self._wrote("event")
        except ScreenerError as error:
            logger.warning(
                "an Event could not be created: %s", error, extra={"action": "event_failed"}
            )

    def _write_waiting(
        self, body: Mapping[str, Any], meta: Meta, reason: Reason, said: str
    ) -> None:
        """The one write without the fence: that this operator waits for it, or for Postgres."""
        message = f"{said}, since {{since}}; the run goes on by itself when that is over"
        status = only_reconciling(meta, reason=reason, message=message, now=self._now())
        if status != meta.status:
            self._cluster.put_status(body, status)
            self._wrote("status")


def _not_complete(job: Mapping[str, Any]) -> bool:
    conditions = (job.get("status") or {}).get("conditions", ())
    return not any(each["type"] == "Complete" and each["status"] == "True" for each in conditions)
