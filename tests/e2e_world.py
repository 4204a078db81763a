"""The local system in the hands of a test: runs, the vendor, the rows, the processes.

Tests share one system. Each begins with clean rows, an account that has used nothing, and the
vendor's clock on an evening of 2023; runs that a test left active are deleted after it.
"""

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from kubernetes.client.configuration import Configuration
from kubernetes.config import load_kube_config
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from screener_local.system import LocalSystem
from screener_operator.cluster import Cluster, NotFound
from screener_operator.resources import COLLECTION_RUN, INDICATOR_RUN
from screener_sql.errors import Retryable

NAMESPACE = "financial-screener"
AS_OF = "2023-09-19"
EVENING = f"{AS_OF}T23:59:00Z"
"""The vendor has the bars of all exchanges up to AS_OF."""
PATIENCE_S = 60.0
POLL_S = 0.1
EXCHANGES = ("MC", "SW", "BR", "LS", "IR")
"""Whose codes tests may name."""
UNKNOWN = ("ZZNONE1", "ZZNONE2", "ZZNONE3")
"""Codes that the vendor lists nowhere."""

CLEARED = (
    "stock_prices",
    "technical_indicators",
    "quarantined_bars",
    "data_findings",
    "data_finding_events",
    "execution_quality",
    "price_revision_blocks",
    "bulk_days",
    "corporate_actions",
    "asset_processing_details",
    "asset_processing_state",
    "plan_items",
    "plan_fetches",
    "slices",
    "process_executions",
    "execution_budgets",
    "api_leases",
    "api_daily_quota",
    "api_request_minutes",
    "api_usage_log",
    "workers",
    "vendor_account",
    "vendor_endpoints",
)
"""Tables that a test finds empty. Listings stay: reading them is no business of most tests."""

Run = dict[str, Any]
Spec = dict[str, Any]


def group(name: str, exchange: str, symbols: Sequence[str] | None = None) -> Spec:
    found: Spec = {"name": name, "exchanges": [exchange]}
    return found | ({"symbols": list(symbols)} if symbols else {})


def condition(run: Run, kind: str) -> tuple[str, str]:
    """(status, reason) of a condition."""
    [found] = [each for each in run["status"]["conditions"] if each["type"] == kind]
    return found["status"], found["reason"]


def condition_message(run: Run, kind: str) -> str:
    [found] = [each for each in run["status"]["conditions"] if each["type"] == kind]
    return str(found["message"])


def has_ended(run: Run) -> bool:
    return bool(run.get("status", {}).get("completionTime"))


@dataclass
class World:
    system: LocalSystem
    api: Cluster
    """With the administrator's credentials."""
    http: httpx.Client
    rough: bool = False
    """Whether the test did what calls are lost by: then the ledger may be above the vendor's
    counter until the next preflight.
    """
    _owner: Connection[TupleRow] | None = None
    _codes: dict[str, list[str]] = field(default_factory=dict)

    # Runs

    def create(self, name: str, groups: Sequence[Spec] = (), **spec: Any) -> str:
        """Creates a CollectionRun as of the vendor's evening, of prices alone unless said
        otherwise; its uid.
        """
        wanted: Spec = {"asOf": AS_OF, "operations": ["prices"], "indicators": False} | spec
        if groups:
            wanted["groups"] = list(groups)
        return self.create_kind(COLLECTION_RUN, name, wanted)

    def create_kind(self, kind: str, name: str, spec: Spec) -> str:
        body = {
            "apiVersion": "financial-screener.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
        }
        return str(self.api.create_run(body)["metadata"]["uid"])

    def run(self, name: str, kind: str = COLLECTION_RUN) -> Run:
        return self.api.run(kind, name)

    def until(
        self,
        what: str,
        happened: Callable[[], Any],
        *,
        patience_s: float = PATIENCE_S,
    ) -> Any:
        """Polls until something true comes; returns it. `what` completes "it never happened
        that"."""
        deadline = time.monotonic() + patience_s
        while not (found := happened()):
            assert time.monotonic() < deadline, f"it never happened that {what}\n{self.report()}"
            time.sleep(POLL_S)
        return found

    def until_run(
        self, name: str, what: str, is_so: Callable[[Run], object], kind: str = COLLECTION_RUN
    ) -> Run:
        """The first look at a run of which `is_so` holds."""

        def look() -> Run | None:
            found = self.run(name, kind)
            return found if found.get("status") and is_so(found) else None

        found: Run = self.until(f"{name} {what}", look)
        return found

    def until_reason(self, name: str, reason: str, kind: str = COLLECTION_RUN) -> Run:
        """The first look at which Reconciling gives the reason."""
        return self.until_run(
            name,
            f"waits for {reason}",
            lambda run: condition(run, "Reconciling")[1] == reason,
            kind,
        )

    def finish(self, name: str, kind: str = COLLECTION_RUN) -> Run:
        """Waits for the end of a run, and of the IndicatorRun that follows it."""
        found = self.until_run(name, "ended", has_ended, kind)
        if child := found["status"].get("indicatorRun"):
            self.until_run(child, "ended", has_ended, INDICATOR_RUN)
        return found

    def until_slice(self, uid: str, kind: str, column: str = "finished_at") -> None:
        """Until the slice of this kind has a value in the column."""
        self.until(
            f"the {kind} of {uid} has {column}",
            lambda: self.rows(
                f"SELECT 1 FROM slices WHERE execution_id = %s AND kind = %s"  # noqa: S608
                f" AND {column} IS NOT NULL",
                uid,
                kind,
            ),
        )

    def report(self) -> str:
        """What is there, for whoever reads of a failed test."""
        lines = []
        for kind in (COLLECTION_RUN, INDICATOR_RUN):
            for run in self.api.runs(kind):
                status = run.get("status", {})
                if not has_ended(run):
                    lines.append(f"{kind} {run['metadata']['name']}: {json.dumps(status)}")
        operator = self.system.kubectl.run("logs", "deployment/screener-operator", "--tail=8")
        return "\n".join([*lines, operator.stdout])

    # The vendor

    def admin(self, path: str, body: Any = None, *, method: str | None = None) -> Any:
        """The answer of the simulator's `/admin/<path>`: GET, or PUT where there is a body."""
        verb = method or ("GET" if body is None else "PUT")
        answer = self.http.request(
            verb,
            f"{self.system.simulator.root}/admin/{path}",
            content=None if body is None else json.dumps(body),
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def faults(self, *faults: Mapping[str, Any]) -> None:
        """Scripts faults; none: the vendor is well again."""
        self.admin("faults", list(faults))

    def counted(self) -> int:
        """Today's calls as the vendor counted them."""
        uses = self.admin("usage").get(f"{datetime.now(UTC):%Y-%m-%d}", {})
        return sum(use["calls"] for use in uses.values())

    def answered(self) -> list[str]:
        """The paths of the requests that were answered with 200, in their order."""
        return [entry["path"] for entry in self.admin("log") if entry["status"] == 200]

    def codes(self, exchange: str, number: int) -> list[str]:
        """Some codes that the vendor lists on one of EXCHANGES."""
        return self._codes[exchange][:number]

    def read_codes(self) -> None:
        """Asks the vendor for the lists; it counts that."""
        for exchange in EXCHANGES:
            answer = self.http.get(
                f"{self.system.simulator.base_url}/exchange-symbol-list/{exchange}",
                params={"api_token": self.system.simulator.token, "fmt": "json"},
            )
            assert answer.status_code == 200, answer.text
            self._codes[exchange] = [
                each["Code"] for each in answer.json() if each["Type"] == "Common Stock"
            ]

    # Rows

    @property
    def owner(self) -> Connection[TupleRow]:
        """An autocommit connection of the schema's owner; a new one after Postgres was away."""
        if self._owner is None or self._owner.closed:
            self._owner = psycopg.connect(self.system.postgres.owner_url, autocommit=True)
        return self._owner

    def close(self) -> None:
        if self._owner is not None:
            self._owner.close()

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.owner.execute(statement.encode(), parameters).fetchall()

    def one(self, statement: str, *parameters: object) -> Any:
        [(value,)] = self.rows(statement, *parameters)
        return value

    def ledger(self) -> int:
        """Calls of today as the ledger has them."""
        return int(
            self.one(
                "SELECT coalesce(sum(calls_used - calls_returned), 0) FROM api_daily_quota"
                " WHERE day = (now() AT TIME ZONE 'UTC')::date"
            )
        )

    def assert_same_calls(self) -> None:
        """The ledger is what the vendor counted; after rough treatment not below it, and after the
        next preflight more by what killed workers had leased and not recorded, for who says that
        they are not frozen.
        """
        unrecorded = 0
        if self.rough:
            self.until(
                "every worker has ended",
                lambda: self.one("SELECT count(*) FROM workers WHERE worker_is_alive(id)") == 0,
            )
            assert self.ledger() >= self.counted()
            self.create("next-preflight", [group("g", "LS", UNKNOWN[:1])], dryRun=True)
            self.finish("next-preflight")
            self.delete(COLLECTION_RUN, "next-preflight")
            unrecorded = self.one(
                "SELECT coalesce(sum(unfinished_calls(lease)), 0) FROM api_leases AS lease"
            )
        assert self.ledger() == self.counted() + unrecorded

    def stored_bars(self) -> int:
        return int(self.one("SELECT count(*) FROM stock_prices"))

    def assert_agreed(self, run: Run) -> None:
        """Status, execution and details of an ended run tell the same: counts of assets and
        calls.
        """
        status, uid = run["status"], run["metadata"]["uid"]
        counts = status["counts"]
        [execution] = self.rows(
            "SELECT status, assets_discovered, assets_succeeded, assets_failed, assets_skipped,"
            " assets_deferred, api_calls_used FROM process_executions WHERE execution_id = %s",
            uid,
        )
        ends = ("succeeded", "failed", "skipped", "deferred")
        phases = {"success": "Succeeded", "partial": "Partial", "failed": "Failed"}
        assert phases[execution[0]] == status["phase"]
        assert list(execution[1:6]) == [counts[name] for name in ("discovered", *ends)]
        assert execution[6] == status["calls"]["used"]
        if status["phase"] != "Failed" or counts["discovered"]:
            assert counts["discovered"] == sum(counts[name] for name in ends), counts
        details = self.rows(
            "SELECT count(*) FILTER (WHERE NOT failed AND NOT deferred AND succeeded),"
            " count(*) FILTER (WHERE failed),"
            " count(*) FILTER (WHERE NOT failed AND NOT deferred AND NOT succeeded),"
            " count(*) FILTER (WHERE NOT failed AND deferred)"
            " FROM (SELECT bool_or(status = 'failed') AS failed,"
            " bool_or(status = 'deferred') AS deferred, bool_or(status = 'success') AS succeeded"
            " FROM asset_processing_details WHERE execution_id = %s AND ticker IS NOT NULL"
            " GROUP BY ticker) AS asset",
            uid,
        )
        assert details == [tuple(counts[name] for name in ends)]
        items = self.rows(
            "SELECT (SELECT count(*) FROM plan_items WHERE execution_id = %s),"
            " (SELECT count(*) FROM asset_processing_details WHERE execution_id = %s"
            " AND ticker IS NOT NULL), (SELECT count(*) FROM plan_items"
            " WHERE execution_id = %s AND state = 'planned')",
            uid,
            uid,
            uid,
        )
        assert items[0][:2] == (items[0][0], items[0][0]), "one detail row an item"
        assert items[0][2] == 0, "no item is open"
        used = self.one(
            "SELECT coalesce(sum(api_calls_used), 0) FROM asset_processing_details"
            " WHERE execution_id = %s",
            uid,
        )
        assert used == status["calls"]["used"]
        assert len(status["message"]) <= 512

    def stop_postgres(self) -> None:
        self.close()
        self.system.postgres.stop()

    def start_postgres(self) -> None:
        self.system.postgres.start()

    # Secrets

    def secrets(self) -> dict[str, str]:
        """What must be read nowhere, by what it is."""
        urls = {
            **self.system.postgres.program_urls(),
            "owner": self.system.postgres.owner_url,
            "administrator": self.system.postgres.administrator_url,
        }
        passwords = {
            f"the {name}'s password": str(conninfo_to_dict(url)["password"])
            for name, url in urls.items()
        }
        return {"the vendor token": self.system.simulator.token, **passwords}

    def leaks(self) -> list[str]:
        """Where a secret can be read: objects, logs, rows, argument lists."""
        secrets = self.secrets()
        return [
            f"{what} in {where}"
            for where, text in self.readable()
            for what, secret in secrets.items()
            if secret in text
        ]

    def readable(self) -> Iterator[tuple[str, str]]:
        """Everything that people may come to read: where it is, and its text."""
        for path in (
            f"/apis/financial-screener.io/v1alpha1/namespaces/{NAMESPACE}/collectionruns",
            f"/apis/financial-screener.io/v1alpha1/namespaces/{NAMESPACE}/indicatorruns",
            f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs",
            f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs",
            f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
            f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events",
            f"/api/v1/namespaces/{NAMESPACE}/pods",
            f"/api/v1/namespaces/{NAMESPACE}/configmaps",
        ):
            yield path, json.dumps(self.api._list(path))
        for file in [
            *(self.system.state / "logs").glob("*.log*"),
            *(self.system.state / "node").glob("pods/*/logs/*"),
        ]:
            yield str(file), _read(file)
        for (table,) in self.rows(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'financial_screener'::regnamespace"
        ):
            if table in ("stock_prices", "technical_indicators", "exchange_sessions"):
                continue  # numbers and dates alone
            found = self.owner.execute(
                sql.SQL("SELECT coalesce(string_agg(line::text, ' '), '') FROM {} AS line").format(
                    sql.Identifier("financial_screener", table)
                )
            ).fetchone()
            yield f"table {table}", str(found)
        for process in psutil.process_iter(["pid", "cmdline"]):
            yield f"arguments of {process.info['pid']}", " ".join(process.info["cmdline"] or ())

    # Processes

    def process(self, program: str, **environment: str) -> psutil.Process | None:
        """The process of a container, by its program and some of its environment."""
        for process in psutil.process_iter():
            try:
                if any(Path(word).name == program for word in process.cmdline()[:2]):
                    have = process.environ()
                    if all(have.get(name) == value for name, value in environment.items()):
                        return process
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return None

    def kill(self, program: str, **environment: str) -> None:
        """kill -9 of exactly that process, as soon as it is there."""
        process = self.until(f"{program} runs", lambda: self.process(program, **environment))
        process.send_signal(signal.SIGKILL)

    def operator_process(self) -> psutil.Process | None:
        url = self.system.postgres.program_urls()["operator"]
        return self.process("screener-operator", DATABASE_URL=url)

    # Order

    def know(self, *exchanges: str) -> None:
        """Has the exchanges' lists and details read, so that a preflight costs one call."""
        if missing := [
            exchange
            for exchange in exchanges
            if not self.rows(
                "SELECT 1 FROM exchanges WHERE code = %s"
                " AND listed_at > now() - interval '12 hours'"
                " AND details_at > now() - interval '12 hours'",
                exchange,
            )
        ]:
            name = f"know-{'-'.join(missing).lower()}"
            self.create(name, [group(code.lower(), code) for code in missing], dryRun=True)
            self.finish(name)
            self.delete(COLLECTION_RUN, name)
            self.clean()

    def needs_bars_alone(self) -> None:
        """Takes indices, rates, splits and dividends as read up to AS_OF, so that each asset costs
        one request.
        """
        self.owner.execute(
            "UPDATE asset_processing_state AS state SET splits_checked_to = day,"
            " dividends_checked_to = day,"
            " prices_checked_to = CASE WHEN assets.kind <> 'listing' THEN day END,"
            " prices_checked_from = CASE WHEN assets.kind <> 'listing' THEN date '1900-01-01' END"
            " FROM assets, CAST(%s AS date) AS day WHERE assets.id = state.asset_id"
            " AND splits_checked_to IS NULL",
            (AS_OF,),
        )

    def clean(self) -> None:
        """Ends and removes what is active, and makes rows and vendor as a test expects them."""
        self.admin("faults", {})
        active = [
            (kind, run["metadata"]["name"])
            for kind in (COLLECTION_RUN, INDICATOR_RUN)
            for run in self.api.runs(kind)
            if not has_ended(run)
        ]
        for kind, name in active:
            self.delete(kind, name)
        if active:
            self.until("the runs that were deleted are gone", self._nothing_active)
        self._clear_rows()
        self.admin("reset", method="POST")
        self.admin("clock", {"data": EVENING})

    def delete(self, kind: str, name: str) -> None:
        plural = f"{kind.lower()}s"
        path = f"/apis/financial-screener.io/v1alpha1/namespaces/{NAMESPACE}/{plural}/{name}"
        try:
            self.api._request("DELETE", path, {"propagationPolicy": "Background"})
        except NotFound:
            return

    def _nothing_active(self) -> bool:
        try:
            jobs = [job for job in self.api.jobs() if not job.get("status", {}).get("conditions")]
            pods = self.api._list(
                f"/api/v1/namespaces/{NAMESPACE}/pods", "financial-screener.io/run-uid"
            )
        except Retryable:
            return False
        running = [pod for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]
        executions = self.one("SELECT count(*) FROM process_executions WHERE status = 'running'")
        return not jobs and not running and not executions

    def _clear_rows(self) -> None:
        with self.owner.transaction():
            self.owner.execute(
                sql.SQL("TRUNCATE {}").format(
                    sql.SQL(", ").join(
                        sql.Identifier("financial_screener", table) for table in CLEARED
                    )
                )
            )
            self.owner.execute(
                "INSERT INTO asset_processing_state (asset_id, ticker)"
                " SELECT id, ticker FROM assets"
            )

    def remove_runs(self) -> None:
        """Deletes every run with all that it owns, and waits until that is gone."""
        for kind in (COLLECTION_RUN, INDICATOR_RUN):
            for run in self.api.runs(kind):
                self.delete(kind, run["metadata"]["name"])
        self.until("no Job of a run is left", lambda: not self.api.jobs())


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except FileNotFoundError:
        return ""  # of a pod that was removed meanwhile


@pytest.fixture(scope="session")
def shared_world(local_system: LocalSystem) -> Iterator[World]:
    """The system as the tests before have left it."""
    configuration = Configuration()
    load_kube_config(  # type: ignore[no-untyped-call]
        config_file=str(local_system.cluster.kubeconfig), client_configuration=configuration
    )
    with httpx.Client(timeout=30.0, trust_env=False) as http:
        world = World(local_system, Cluster(NAMESPACE, configuration), http)
        world.read_codes()
        yield world
        world.close()


@pytest.fixture(scope="module")
def no_runs(shared_world: World) -> Iterator[None]:
    """A module's tests find no runs of others, and leave none."""
    shared_world.remove_runs()
    yield
    shared_world.remove_runs()


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """The system as a test expects it. After the test both sides have counted the same calls, and
    no secret can be read anywhere.
    """
    shared_world.clean()
    shared_world.rough = False
    yield shared_world
    shared_world.assert_same_calls()
    assert shared_world.leaks() == []
