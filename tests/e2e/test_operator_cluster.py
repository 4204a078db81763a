"""The operator on a real API server, with the real Job controller and garbage collector, under its
own rights.

There is no node: the tests say how a pod ended, and write the rows that its program would have
written. So every schedule of crashes can be played, and what is proved is the operator alone.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from kubernetes.client.configuration import Configuration
from operator_world import JOBS, collection_run, condition
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from system_fixture import Database, session_folder

from screener_local.controlplane import ControlPlane
from screener_local.install import Kubectl
from screener_local.paths import CRDS, DEPLOY
from screener_local.tools import find_or_build
from screener_operator import jobs, schedule
from screener_operator.cluster import (
    Cluster,
    ClusterUnreachable,
    Conflict,
    NotFound,
    Refused,
)
from screener_operator.reconciler import Reconciler
from screener_operator.resources import COLLECTION_RUN, INDICATOR_RUN
from screener_operator.store import FenceHeldElsewhere, Store
from screener_sql.errors import DatabaseUnreachable
from screener_sql.model import WORKER_LOCK

pytestmark = pytest.mark.e2e

NAMESPACE = "financial-screener"
RUNS = f"/apis/financial-screener.io/v1alpha1/namespaces/{NAMESPACE}/collectionruns"
PATIENCE_S = 60
PAUSE_S = 1.0


@dataclass(frozen=True)
class Api:
    """A control plane with the kinds and the roles; `admin` may do everything, `operator` what its
    role says.
    """

    admin: Cluster
    operator: Cluster
    scheduler: Cluster
    kubeconfig: Path
    kubectl: Kubectl


def with_token(control_plane: ControlPlane, kubectl: Kubectl, account: str) -> Configuration:
    token = kubectl.ask("test", "create", "token", account, "--duration=2h", "-n", NAMESPACE)
    configuration = Configuration(host=control_plane.server)
    configuration.ssl_ca_cert = str(control_plane.authority)
    configuration.api_key["BearerToken"] = token.strip()
    configuration.api_key_prefix["BearerToken"] = "Bearer"
    return configuration


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with session_folder("operator") as folder:
        control_plane = ControlPlane(folder / "state", lambda: find_or_build(print))
        try:
            control_plane.start()
            kubectl = Kubectl(control_plane)
            kubectl.ask("test", "apply", "--server-side", "-f", str(CRDS))
            kubectl.ask("test", "apply", "-f", str(DEPLOY / "namespace.yaml"))
            kubectl.ask("test", "apply", "-n", NAMESPACE, "-f", str(DEPLOY / "rbac.yaml"))
            kubectl.ask("test", "create", "serviceaccount", "admin", "-n", NAMESPACE)
            kubectl.ask(
                "test", "create", "clusterrolebinding", "admin", "--clusterrole=cluster-admin",
                f"--serviceaccount={NAMESPACE}:admin",
            )  # fmt: skip
            clusters = {
                account: Cluster(NAMESPACE, with_token(control_plane, kubectl, account))
                for account in ("admin", "screener-operator", "screener-schedule")
            }
            kubectl.ask(
                "test", "wait", "--for=condition=established", "crd",
                "collectionruns.financial-screener.io", "indicatorruns.financial-screener.io",
            )  # fmt: skip
            wait_until(lambda: served(clusters["admin"]), "the kinds are served")
            operator_token = kubectl.ask(
                "test", "create", "token", "screener-operator", "-n", NAMESPACE
            )
            kubeconfig = yaml.safe_load(control_plane.kubeconfig.read_text())
            kubeconfig["users"][0]["user"] = {"token": operator_token.strip()}
            path = folder / "operator.kubeconfig"
            path.write_text(yaml.safe_dump(kubeconfig))
            yield Api(
                clusters["admin"],
                clusters["screener-operator"],
                clusters["screener-schedule"],
                path,
                kubectl,
            )
        finally:
            control_plane.stop()


def served(cluster: Cluster) -> bool:
    try:
        for kind in (COLLECTION_RUN, INDICATOR_RUN):
            cluster.runs(kind)
    except NotFound:
        return False
    return True


@pytest.fixture(autouse=True)
def nothing_left(api: Api) -> Iterator[None]:
    """Every test begins with an empty namespace, for names and uids are what these tests are
    about.
    """
    yield
    for path in (
        RUNS,
        RUNS.replace("collectionruns", "indicatorruns"),
        f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs",
        f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events",
    ):
        api.admin._request("DELETE", path, {"propagationPolicy": "Background"})
    wait_until(lambda: not api.admin.jobs() and not pending_pods(api), "all is gone")


def wait_until(
    happened: Callable[[], object], what: str, *, patience_s: float = PATIENCE_S
) -> None:
    deadline = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < deadline, f"it never happened that {what}"
        time.sleep(0.05)


class Killed(BaseException):
    """The operator dies here."""


@dataclass
class Operator:
    """An operator that a test has in its hands: it dies after the writes of `die_after`, counted
    from 1.
    """

    api: Api
    store: Store
    die_after: frozenset[int] = frozenset()
    writes: list[str] = field(default_factory=list)
    max_jobs: int = 8
    looked_at: float = 0.0
    busy: bool = True

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.reconciler = Reconciler(
            self.api.operator,
            self.store,
            job_settings=JOBS,
            namespace=NAMESPACE,
            max_jobs=self.max_jobs,
            wrote=self.wrote,
        )

    def wrote(self, what: str) -> None:
        self.writes.append(what)
        if len(self.writes) in self.die_after:
            raise Killed

    def fence_is_free(self) -> bool:
        try:
            self.store.hold_fence()
        except FenceHeldElsewhere:
            return False
        return True

    def due(self) -> bool:
        """Whether another look may find something: at once after a write, else in a while."""
        return self.busy or time.monotonic() - self.looked_at > PAUSE_S

    def turn(self, name: str) -> None:
        """Reconciles both runs of a name once; when it dies, another one takes over at the next
        turn.
        """
        before = len(self.writes)
        try:
            for kind in (COLLECTION_RUN, INDICATOR_RUN):
                self.reconciler.reconcile(kind, name)
        except Killed:
            # Its connection goes with it, and so does the fence.
            self.store.close()
            wait_until(self.fence_is_free, "a session that is closed gives its lock back")
            self.start()
        self.looked_at = time.monotonic()
        self.busy = len(self.writes) > before


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    with closing(Store(database.urls["operator"])) as store:
        yield store


@pytest.fixture
def operator(api: Api, store: Store) -> Operator:
    return Operator(api, store)


def create(api: Api, name: str, **spec: Any) -> dict[str, Any]:
    return api.admin.create_run(
        {
            "apiVersion": "financial-screener.io/v1alpha1",
            "kind": COLLECTION_RUN,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
        }
    )


def status_of(api: Api, name: str, kind: str = COLLECTION_RUN) -> Mapping[str, Any]:
    found: Mapping[str, Any] = api.admin.run(kind, name).get("status") or {}
    return found


def ended(api: Api, name: str) -> bool:
    """Whether a CollectionRun and the IndicatorRun that follows it have ended."""
    status = status_of(api, name)
    if "completionTime" not in status:
        return False
    child = status.get("indicatorRun")
    return child is None or "completionTime" in status_of(api, child, INDICATOR_RUN)


def pending_pods(api: Api) -> list[dict[str, Any]]:
    pods = api.admin._list(f"/api/v1/namespaces/{NAMESPACE}/pods")
    return [pod for pod in pods if pod.get("status", {}).get("phase") == "Pending"]


def end_pod(api: Api, pod: Mapping[str, Any], exit_code: int = 0, message: str = "") -> None:
    """What a node says of a pod whose program has ended."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    [container] = pod["spec"]["containers"]
    status = {
        "phase": "Failed" if exit_code else "Succeeded",
        "startTime": moment,
        "containerStatuses": [
            {
                "name": container["name"],
                "ready": False,
                "restartCount": 0,
                "image": container["image"],
                "imageID": "",
                "state": {
                    "terminated": {
                        "exitCode": exit_code,
                        "startedAt": moment,
                        "finishedAt": moment,
                        "message": message,
                        "reason": "Error" if exit_code else "Completed",
                    }
                },
            }
        ],
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}/status"
    body = {**pod, "apiVersion": "v1", "kind": "Pod", "status": status}
    api.admin._request("PUT", path, None, body)


def do_work(owner: Connection[TupleRow], pod: Mapping[str, Any]) -> None:
    """The rows that a pod's program leaves when all of its slice succeeds."""
    labels = pod["metadata"]["labels"]
    execution_id = labels["financial-screener.io/run-uid"]
    kind, name = labels["financial-screener.io/kind"], labels["financial-screener.io/group"]
    with owner.transaction():
        owner.execute(
            "WITH closed AS (UPDATE financial_screener.plan_items SET state = 'succeeded',"
            " finished_at = now() WHERE execution_id = %s AND group_name = %s AND state = 'planned'"
            " RETURNING execution_id, asset_id, operation, planned_calls)"
            " INSERT INTO financial_screener.asset_processing_details"
            " (execution_id, asset_id, ticker, operation, status, api_calls_used)"
            " SELECT closed.execution_id, asset_id, ticker, operation, 'success', planned_calls"
            " FROM closed JOIN financial_screener.assets ON assets.id = asset_id",
            (execution_id, name),
        )
        owner.execute(
            "UPDATE financial_screener.plan_fetches SET state = 'done'"
            " WHERE execution_id = %s AND group_name = %s",
            (execution_id, name),
        )
        owner.execute(
            "UPDATE financial_screener.asset_processing_state SET prices_loaded = true,"
            " prices_changed_at = now() WHERE asset_id IN (SELECT asset_id"
            " FROM financial_screener.plan_items WHERE execution_id = %s)",
            (execution_id,),
        )
        owner.execute(
            "UPDATE financial_screener.slices SET finished_at = now(),"
            " verified = CASE WHEN kind = 'indicators' THEN true END"
            " WHERE execution_id = %s AND kind = %s AND name = %s",
            (execution_id, kind, name),
        )


def add_exchanges(owner: Connection[TupleRow], codes: list[str]) -> None:
    """Exchanges with two sessions and two new assets each, and a day's quota."""
    owner.execute(
        "INSERT INTO financial_screener.exchanges (code)"
        " SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING",
        (codes,),
    )
    owner.execute(
        "INSERT INTO financial_screener.exchange_sessions (exchange_id, session, closes_at)"
        " SELECT id, current_date - day, now() - interval '1 day' * day"
        " FROM financial_screener.exchanges, generate_series(2, 3) AS day WHERE code = ANY (%s)",
        (codes,),
    )
    owner.execute(
        "INSERT INTO financial_screener.assets (code, exchange_id, ticker, type)"
        " SELECT asset, id, asset || '.' || code, 'Common Stock'"
        " FROM financial_screener.exchanges, unnest(ARRAY['AAA', 'BBB']) AS asset"
        " WHERE code = ANY (%s)",
        (codes,),
    )
    owner.execute(
        "INSERT INTO financial_screener.asset_processing_state (asset_id, ticker)"
        " SELECT id, ticker FROM financial_screener.assets"
    )
    owner.execute(
        "INSERT INTO financial_screener.api_daily_quota (day, calls_limit)"
        " VALUES (current_date, 100000)"
    )


def play(
    api: Api,
    owner: Connection[TupleRow],
    operators: Mapping[str, Operator],
    *,
    exit_codes: Mapping[str, int] | None = None,
) -> None:
    """Operators and pods take turns until every run has ended. `exit_codes`: by group, for pods
    that fail.
    """

    def turn() -> bool:
        for name, operator in operators.items():
            if name not in over and operator.due():
                operator.turn(name)
                if ended(api, name):
                    over.add(name)
        for pod in pending_pods(api):
            code = (exit_codes or {}).get(
                pod["metadata"]["labels"]["financial-screener.io/group"], 0
            )
            if code == 0:
                do_work(owner, pod)
            end_pod(api, pod, code, "it went wrong" if code else "")
        return over == set(operators)

    over: set[str] = set()
    wait_until(turn, "all runs ended", patience_s=240)


def groups_on(*codes: str) -> list[dict[str, Any]]:
    return [{"name": f"g{place}", "exchanges": [code]} for place, code in enumerate(codes)]


def traces(api: Api, owner: Connection[TupleRow], name: str) -> dict[str, Any]:
    """What a run and its IndicatorRun have left, without times and uids."""
    run, child = api.admin.run(COLLECTION_RUN, name), api.admin.run(INDICATOR_RUN, name)
    uids = [each["metadata"]["uid"] for each in (run, child)]
    events = api.admin._list(f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events")
    rows = owner.execute(
        "SELECT process_name, status, assets_discovered, assets_succeeded, assets_failed,"
        " api_calls_used FROM financial_screener.process_executions"
        " WHERE execution_id = ANY (%s) ORDER BY process_name DESC",
        (uids,),
    ).fetchall()
    return {
        "phases": [each["status"]["phase"] for each in (run, child)],
        "counts": [each["status"]["counts"] for each in (run, child)],
        "calls": run["status"]["calls"]["used"],
        "groups": [(each["name"], each["state"]) for each in run["status"]["groups"]],
        "conditions": [
            (each["type"], each["status"], each["reason"])
            for each in [*run["status"]["conditions"], *child["status"]["conditions"]]
        ],
        "executions": rows,
        "details": owner.execute(
            "SELECT count(*), count(DISTINCT (execution_id, asset_id, operation))"
            " FROM financial_screener.asset_processing_details WHERE execution_id = ANY (%s)",
            (uids,),
        ).fetchall(),
        "jobs": sorted(
            job["metadata"]["labels"]["financial-screener.io/group"]
            for uid in uids
            for job in api.admin.jobs(run_uid=uid)
        ),
        "events": Counter(
            (event["regarding"]["kind"], event["reason"], event["note"].replace(name, "RUN"))
            for event in events
            if event["regarding"].get("uid") in uids
        ),
    }


def test_dying_after_any_write_of_a_whole_run_changes_nothing(
    api: Api, store: Store, owner: Connection[TupleRow]
) -> None:
    """One run is left in peace; for each of its writes another dies after that one."""
    codes = [f"X{number}" for number in range(200)]
    add_exchanges(owner, codes)
    create(api, "peace", groups=groups_on("X0", "X1"))
    peace = Operator(api, store)
    play(api, owner, {"peace": peace})
    wanted = traces(api, owner, "peace")
    assert wanted["phases"] == ["Succeeded", "Succeeded"]
    assert wanted["jobs"] == ["g0", "g1", "indicators", "preflight"]
    # Prices, splits, dividends, fundamentals and indicators of four assets.
    assert wanted["details"] == [(20, 20)]
    assert set(wanted["events"].values()) == {1}
    for kind in ("OpenExecution", "CreateJob", "MarkStarted", "MakePlan", "CloseExecution"):
        assert kind in peace.writes
    assert "CreateIndicatorRun" in peace.writes

    operators = {}
    for number in range(1, len(peace.writes) + 1):
        name = f"dies-{number}"
        create(api, name, groups=groups_on(*codes[2 * number : 2 * number + 2]))
        operators[name] = Operator(api, store, frozenset({number}))
    play(api, owner, operators)
    died = 0
    for name, operator in operators.items():
        assert traces(api, owner, name) == wanted, f"{name}: {operator.writes}"
        [number] = operator.die_after
        died += len(operator.writes) >= number
    # How often progress is written depends on how long the Jobs take.
    assert died >= len(operators) - 4


@pytest.mark.parametrize(
    ("exit_code", "phase", "reason", "state"),
    [
        pytest.param(2, "Partial", "PartiallyFailed", ("Failed", "BadSetting"), id="bad setting"),
        pytest.param(10, "Failed", "TokenRefused", ("Failed", "TokenRefused"), id="token refused"),
        pytest.param(
            11, "Failed", "EndpointNotInPlan", ("Failed", "EndpointNotInPlan"), id="not in plan"
        ),
    ],
)
def test_a_group_whose_pod_fails_for_good(
    api: Api,
    store: Store,
    owner: Connection[TupleRow],
    exit_code: int,
    phase: str,
    reason: str,
    state: tuple[str, str],
) -> None:
    add_exchanges(owner, ["X0", "X1"])
    create(api, "fails", groups=groups_on("X0", "X1"))
    operator = Operator(api, store)
    play(api, owner, {"fails": operator}, exit_codes={"g1": exit_code})
    status = status_of(api, "fails")
    assert status["phase"] == phase
    assert condition(status, "Failed") == ("True", reason)
    good, bad = status["groups"]
    assert good["state"] == "Succeeded"
    assert (bad["state"], bad["reason"], bad["exitCode"]) == (*state, exit_code)
    assert "it went wrong" in bad["message"]
    assert status["counts"]["failed"] == 2
    assert status["counts"]["succeeded"] == 2


def test_a_preflight_that_fails_ends_the_run(
    api: Api, store: Store, owner: Connection[TupleRow]
) -> None:
    add_exchanges(owner, ["X0"])
    create(api, "refused", groups=groups_on("X0"))
    play(
        api, owner, {"refused": Operator(api, store)},
        exit_codes={"preflight": 10},
    )  # fmt: skip
    status = status_of(api, "refused")
    assert status["phase"] == "Failed"
    assert condition(status, "IndicatorsTriggered") == ("False", "RunFailed")
    assert condition(status, "Stalled") == ("True", "TokenRefused")
    assert status["groups"][0]["state"] == "Skipped"
    with pytest.raises(NotFound):
        api.admin.run(INDICATOR_RUN, "refused")


def test_as_of_in_the_future_ends_the_run_without_a_job(api: Api, operator: Operator) -> None:
    create(api, "future", asOf="2999-01-01")
    operator.turn("future")
    status = status_of(api, "future")
    assert status["phase"] == "Failed"
    assert condition(status, "Succeeded") == ("False", "InvalidSpec")
    assert "spec.asOf: 2999-01-01" in status["message"].replace("Spec", "spec", 1)
    assert api.admin.jobs() == []


@contextmanager
def live_worker(owner: Connection[TupleRow], name: str) -> Iterator[None]:
    """A process of the run's Jobs that may still store something."""
    row = owner.execute(
        "INSERT INTO financial_screener.workers (execution_id, slice, pod)"
        " SELECT execution_id, 'g0', 'p' FROM financial_screener.process_executions"
        " WHERE run_name = %s RETURNING id",
        (name,),
    ).fetchone()
    assert row is not None
    owner.execute("SELECT pg_advisory_lock(%s, %s)", (WORKER_LOCK, row[0]))
    yield
    owner.execute("SELECT pg_advisory_unlock(%s, %s)", (WORKER_LOCK, row[0]))


def test_a_job_that_is_deleted_by_hand_is_not_made_again(
    api: Api, operator: Operator, owner: Connection[TupleRow]
) -> None:
    add_exchanges(owner, ["X0"])
    create(api, "hand", groups=groups_on("X0"))
    operator.turn("hand")
    [pod] = wait_for_pods(api, 1)
    do_work(owner, pod)
    end_pod(api, pod)
    operator.turn("hand")
    wait_for_pods(api, 1)
    api.kubectl.ask("test", "delete", "job", "hand-g0-1", "-n", NAMESPACE)
    wait_until(
        lambda: "hand-g0-1" not in {job["metadata"]["name"] for job in api.admin.jobs()}, "gone"
    )
    with live_worker(owner, "hand"):
        # What its pod stores until it ends still counts.
        operator.turn("hand")
        assert status_of(api, "hand")["phase"] == "Finishing"
        assert owner.execute(
            "SELECT status FROM financial_screener.process_executions"
        ).fetchall() == [("running",)]
    operator.turn("hand")
    status = status_of(api, "hand")
    [group] = status["groups"]
    assert (group["state"], group["reason"], group["job"]) == ("Failed", "JobDeleted", "hand-g0-1")
    assert status["phase"] == "Failed"
    assert {job["metadata"]["name"] for job in api.admin.jobs()} == {"hand-preflight"}


def wait_for_pods(api: Api, number: int) -> list[dict[str, Any]]:
    wait_until(lambda: len(pending_pods(api)) == number, f"there are {number} pods to run")
    return pending_pods(api)


def test_beside_somebody_elses_job_a_run_makes_its_own(
    api: Api, operator: Operator, owner: Connection[TupleRow]
) -> None:
    """Their Job has all our labels and the very name; only the owner's uid tells."""
    foreign = jobs.preflight_job(collection_run(name="mine"), JOBS)
    other = create(api, "other", groups=groups_on("X1"))
    foreign["metadata"]["ownerReferences"][0]["uid"] = other["metadata"]["uid"]
    foreign["metadata"]["ownerReferences"][0]["name"] = "other"
    api.admin._request("POST", f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", None, foreign)
    create(api, "mine", groups=groups_on("X0"))
    for _ in range(3):
        operator.turn("mine")
    uid = api.admin.run(COLLECTION_RUN, "mine")["metadata"]["uid"]
    [own] = api.admin.jobs(run_uid=uid)
    assert re.fullmatch(r"mine-preflight-[0-9a-f]{10}", own["metadata"]["name"])


def test_beside_somebody_elses_indicator_run_a_run_makes_its_own(
    api: Api, store: Store, owner: Connection[TupleRow]
) -> None:
    add_exchanges(owner, ["X0"])
    api.admin.create_run(
        {
            "apiVersion": "financial-screener.io/v1alpha1",
            "kind": INDICATOR_RUN,
            "metadata": {"name": "same", "namespace": NAMESPACE},
            "spec": {"exchanges": ["US"]},
        }
    )
    create(api, "same", groups=groups_on("X0"))
    operator = Operator(api, store)
    for _ in range(200):
        operator.turn("same")
        for pod in pending_pods(api):
            do_work(owner, pod)
            end_pod(api, pod)
        if "completionTime" in status_of(api, "same"):
            break
        time.sleep(0.1)
    child = status_of(api, "same")["indicatorRun"]
    assert re.fullmatch(r"same-[0-9a-f]{10}", child)
    spec = api.admin.run(INDICATOR_RUN, child)["spec"]
    assert (spec["collectionRun"], spec["exchanges"]) == ("same", ["X0"])


def test_a_later_run_of_the_same_exchange_waits_its_turn(
    api: Api, operator: Operator, owner: Connection[TupleRow]
) -> None:
    create(api, "a-first", groups=groups_on("X0"))
    operator.turn("a-first")
    create(api, "b-second", groups=groups_on("X1", "X0"))
    operator.turn("b-second")
    status = status_of(api, "b-second")
    assert (status["phase"], condition(status, "Reconciling")) == (
        "Pending",
        ("True", "WaitingForRun"),
    )
    assert "a-first" in status["message"]
    assert [job["metadata"]["name"] for job in api.admin.jobs()] == ["a-first-preflight"]
    api.kubectl.ask("test", "delete", "collectionrun", "a-first", "-n", NAMESPACE)
    operator.turn("b-second")
    assert condition(status_of(api, "b-second"), "Reconciling")[1] == "Preflight"


def test_a_deleted_run_takes_its_jobs_along_and_its_execution_is_closed(
    api: Api, operator: Operator, owner: Connection[TupleRow]
) -> None:
    create(api, "gone", groups=groups_on("X0"))
    operator.turn("gone")
    wait_for_pods(api, 1)
    assert operator.reconciler.sweep().unfinished
    api.kubectl.ask("test", "delete", "collectionrun", "gone", "-n", NAMESPACE)
    with live_worker(owner, "gone"):
        wait_until(lambda: not api.admin.jobs(), "its Jobs are gone")
        assert operator.reconciler.sweep().look_again
    wait_until(lambda: not operator.reconciler.sweep().look_again, "its last worker is gone")
    assert owner.execute(
        "SELECT status, error_message FROM financial_screener.process_executions"
    ).fetchall() == [("failed", "run deleted")]


def test_without_postgres_a_run_waits_and_says_since_when(
    api: Api, operator: Operator, database: Database
) -> None:
    create(api, "waits", groups=groups_on("X0"))
    away = Operator(api, Store(make_conninfo(database.urls["operator"], port=1)))
    for _ in range(2):
        with pytest.raises(DatabaseUnreachable):
            away.turn("waits")
    status = status_of(api, "waits")
    assert status["phase"] == "Pending"
    assert condition(status, "Reconciling") == ("True", "DatabaseUnreachable")
    assert re.search(r"since \d{4}-\d\d-\d\dT", status["message"])
    assert away.writes == ["status"], "said once"
    operator.turn("waits")
    assert condition(status_of(api, "waits"), "Reconciling")[1] == "Preflight"


def test_a_refused_password_is_said_without_it(api: Api, database: Database) -> None:
    create(api, "password", groups=groups_on("X0"))
    url = make_conninfo(database.urls["operator"], password="wr0ng-s3cret")
    refused = Operator(api, Store(url))
    with pytest.raises(DatabaseUnreachable):
        refused.turn("password")
    status = status_of(api, "password")
    assert condition(status, "Reconciling") == ("True", "DatabaseUnreachable")
    assert "refuses the user name or password" in status["message"]
    assert "s3cret" not in json.dumps(status)


def test_without_the_lock_nothing_is_written_but_that(
    api: Api, operator: Operator, database: Database, owner: Connection[TupleRow]
) -> None:
    create(api, "locked", groups=groups_on("X0"))
    operator.turn("locked")
    before = status_of(api, "locked")
    second = Operator(api, Store(database.urls["operator"]))
    with pytest.raises(FenceHeldElsewhere):
        second.turn("locked")
    after = status_of(api, "locked")
    assert second.writes == ["status"]
    assert condition(after, "Reconciling") == ("True", "WaitingForLock")
    assert {**after, "conditions": 0} == {**before, "conditions": 0}
    changed = [
        one["type"]
        for one, other in zip(after["conditions"], before["conditions"], strict=True)
        if one != other
    ]
    assert changed == ["Reconciling"]


def test_a_stale_status_is_a_conflict_and_unknown_fields_are_refused(api: Api) -> None:
    stale = create(api, "strict")
    api.operator.put_status(stale, {"phase": "Pending"})
    with pytest.raises(Conflict):
        api.operator.put_status(stale, {"phase": "Running"})
    with pytest.raises(Refused, match="colour"):
        api.operator.put_status(api.admin.run(COLLECTION_RUN, "strict"), {"colour": "red"})
    with pytest.raises(Refused, match=r"spec\.groupz"):
        create(api, "unknown", groupz=[])


def test_an_api_server_that_is_away_is_said_soon() -> None:
    configuration = Configuration(host="https://127.0.0.1:1")
    began = time.monotonic()
    with pytest.raises(ClusterUnreachable):
        Cluster(NAMESPACE, configuration).runs(COLLECTION_RUN)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets", id="read Secrets"),
        pytest.param("GET", "/apis/batch/v1/jobs", id="see other namespaces"),
        pytest.param("POST", RUNS, id="create CollectionRuns"),
        pytest.param("DELETE", f"{RUNS}/x", id="delete runs"),
        pytest.param("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", id="make pods"),
    ],
)  # fmt: skip
def test_what_the_operator_may_not(api: Api, method: str, path: str) -> None:
    with pytest.raises(Refused, match="forbidden"):
        api.operator._request(method, path, None, {} if method == "POST" else None)


# The scheduler

DAILY = {"apiVersion": "financial-screener.io/v1alpha1", "kind": COLLECTION_RUN}


def tick(**spec: Any) -> dict[str, Any]:
    return {**DAILY, "metadata": {"name": "us-29400000", "namespace": NAMESPACE}, "spec": spec}


def test_a_tick_creates_once_whatever_is_left_to_defaults(api: Api) -> None:
    assert schedule.create(api.scheduler, tick()) == "CollectionRun us-29400000 created"
    again = "CollectionRun us-29400000 was created already"
    assert schedule.create(api.scheduler, tick()) == again
    assert schedule.create(api.scheduler, tick(parallelism=4)) == again
    with pytest.raises(schedule.OtherSpec, match="us-29400000 exists with another spec"):
        schedule.create(api.scheduler, tick(parallelism=5))
    assert len(api.admin.runs(COLLECTION_RUN)) == 1


def test_a_template_that_is_refused_says_the_field(api: Api) -> None:
    with pytest.raises(Refused, match=r"spec\.parallelism"):
        schedule.create(api.scheduler, tick(parallelism=0))


# The program


@pytest.fixture
def program(api: Api, database: Database) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "screener_operator"],
        env={
            **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
            "KUBECONFIG": str(api.kubeconfig),
            "DATABASE_URL": database.urls["operator"],
            "NAMESPACE": NAMESPACE,
            "COLLECTOR_IMAGE": "c:1",
            "ANALYZER_IMAGE": "a:1",
            "EODHD_BASE_URL": "https://vendor.example/api",
            "HEALTH_PORT": "0",
            "RESYNC_SECONDS": "2",
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def read_until(process: "subprocess.Popen[str]", action: str) -> dict[str, Any]:
    """Reads the program's log up to the line of `action`."""
    assert process.stderr is not None
    watchdog = threading.Timer(PATIENCE_S, process.kill)
    watchdog.start()
    try:
        for line in process.stderr:
            parsed: dict[str, Any] = json.loads(line)
            if parsed.get("action") == action:
                return parsed
    finally:
        watchdog.cancel()
    raise AssertionError(f"the log ended without {action}")


def test_the_program_reacts_at_once_is_healthy_and_stops_when_asked(
    api: Api, program: "subprocess.Popen[str]"
) -> None:
    line = read_until(program, "started")
    port = int(line["message"].rsplit(" ", 1)[1])

    def healthy() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            error.close()
            return False

    wait_until(healthy, "it is healthy")
    time.sleep(1)  # for its watches to be open, as an event is what is to be timed here
    began = time.monotonic()
    run = create(api, "quick", groups=groups_on("X0"))
    while not api.admin.jobs(run_uid=run["metadata"]["uid"]):
        assert time.monotonic() - began < 1.0, "apply to first Job within a second"
    body = api.admin.run(COLLECTION_RUN, "quick")
    assert "finalizers" not in body["metadata"]
    assert not any("kopf" in key for key in body["metadata"].get("annotations", {}))
    program.send_signal(signal.SIGTERM)
    assert program.wait(timeout=20) == 0


def test_the_program_ends_when_its_token_is_refused(
    api: Api, database: Database, tmp_path: Path
) -> None:
    """It could neither hear nor act; a process that lived on would look well."""
    kubeconfig = yaml.safe_load(api.kubeconfig.read_text())
    kubeconfig["users"][0]["user"] = {"token": "n0t-a-token"}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig))
    process = subprocess.run(
        [sys.executable, "-m", "screener_operator"],
        env={
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(path),
            "DATABASE_URL": database.urls["operator"],
            "COLLECTOR_IMAGE": "c:1",
            "ANALYZER_IMAGE": "a:1",
            "EODHD_BASE_URL": "https://vendor.example/api",
            "HEALTH_PORT": "0",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert process.returncode == 1
    assert "the API server refuses the operator's token" in process.stderr
    assert "n0t-a-token" not in process.stderr


def test_a_program_without_settings_says_which() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "screener_operator"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (process.returncode, process.stderr) == (
        2,
        "screener-operator: DATABASE_URL is not set\n",
    )


def test_the_database_knows_the_operator_by_its_role(database: Database) -> None:
    with psycopg.connect(database.urls["operator"]) as connection:
        assert connection.execute(
            "SELECT pg_has_role(current_user, 'screener_operator', 'USAGE')"
        ).fetchone() == (True,)
