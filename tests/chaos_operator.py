"""The operator's own decisions and rows without a cluster: its reconcile decides, its store writes,
and its Jobs are pods of a test.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from screener_operator import reconcile_collection
from screener_operator.actions import (
    Action,
    CloseExecution,
    CreateIndicatorRun,
    CreateJob,
    FailOpenItems,
    MakePlan,
    MarkStarted,
    OpenExecution,
)
from screener_operator.facts import JobFacts, Observed
from screener_operator.resources import CollectionRun
from screener_operator.store import FenceHeldElsewhere, Store
from screener_sql.errors import DatabaseUnreachable

STEPS_AT_ONCE = 20
NAMESPACE = "chaos"


@cache
def _schema() -> dict[str, Any]:
    """The schema of a CollectionRun's spec."""
    path = Path(__file__).parents[1] / "crds" / "collectionruns.yaml"
    [version] = yaml.safe_load(path.read_text())["spec"]["versions"]
    spec: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


def _completed(value: Any, schema: dict[str, Any]) -> Any:
    """The value with its defaults, as the API server fills them in."""
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, part in schema.get("properties", {}).items():
        if name not in filled and "default" in part:
            filled[name] = part["default"]
        if name in filled:
            filled[name] = _completed(filled[name], part)
    return filled


def collection_run(uid: str, spec: dict[str, Any], created: datetime) -> CollectionRun:
    """A run as the API server hands it out, defaults applied."""
    return CollectionRun.from_body(
        {
            "metadata": {
                "name": uid,
                "namespace": NAMESPACE,
                "uid": uid,
                "generation": 1,
                "resourceVersion": "1",
                "creationTimestamp": created.isoformat(),
            },
            "spec": _completed(spec, _schema()),
        }
    )


@dataclass
class Operator:
    """Takes runs through to their end. `start_job(execution_id, kind, group)` starts one's pods;
    `jobs(execution_id)` tells what became of them.
    """

    url: str
    start_job: Callable[[str, str, str], None]
    jobs: Callable[[str], Sequence[JobFacts]]
    now: Callable[[], datetime]
    runs: dict[str, CollectionRun] = field(default_factory=dict)
    _store: Store | None = None

    def add(self, run: CollectionRun) -> None:
        """`kubectl apply`."""
        self.runs[run.meta.uid] = run

    def die(self) -> None:
        """As if killed: its connection goes, and whatever it remembered. The next step is that of
        its successor.
        """
        if self._store is not None:
            self._store.close()
            self._store = None

    def ended(self) -> bool:
        """Whether every run has."""
        return all(run.meta.finished for run in self.runs.values())

    def step(self) -> None:
        """Takes every run as far as it goes now; Postgres may be away."""
        for uid in self.runs:
            for _ in range(STEPS_AT_ONCE):
                try:
                    if not self._step(uid):
                        break
                except (DatabaseUnreachable, FenceHeldElsewhere):
                    return

    def _step(self, uid: str) -> bool:
        run, now = self.runs[uid], self.now()
        if run.meta.finished:
            return False
        if self._store is None:
            self._store = Store(self.url)
        jobs = tuple(self.jobs(uid)) if run.meta.start_time else ()
        facts = self._store.facts(uid, now)
        decision = reconcile_collection.reconcile(
            run,
            others=list(self.runs.values()),
            observed=Observed(facts=facts, jobs=jobs),
            now=now,
            max_jobs=8,
        )
        if decision.ends_work and facts.workers_alive:
            return False
        for action in decision.actions:
            self._do(action, run, now)
        if decision.status is not None:
            meta = replace(run.meta, status=decision.status)
            self.runs[uid] = replace(run, meta=meta)
        return decision.again

    def _do(self, action: Action, run: CollectionRun, now: datetime) -> None:
        store, uid = self._store, run.meta.uid
        assert store is not None
        match action:
            case OpenExecution():
                store.open_execution(run, run.meta.start_time or now)
            case CreateJob(kind, group):
                store.hold_fence()
                self.start_job(uid, kind, group)
            case MarkStarted(kind, group):
                store.mark_started(uid, kind, group)
            case MakePlan():
                store.make_plan(run, now)
            case FailOpenItems(messages):
                store.fail_open_items(uid, dict(messages))
            case CloseExecution(outcome, message):
                store.close_execution(uid, outcome, message)
            case CreateIndicatorRun():
                raise AssertionError("no run of a schedule asks for indicators")
