"""A small world in which everything goes wrong as a schedule says: real Postgres, real collector
processes, the vendor's simulator, and the operator's own decisions.

A scenario is a row of stages; a stage is runs that are under way at once. It is lived through once
undisturbed, and then as often as wanted with a schedule; both must leave the same.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import psutil
import psycopg
import pytest
from chaos_operator import Operator, collection_run
from chaos_pods import Pod, Pods
from chaos_quota import Made, sent_without_calls
from chaos_schedule import PER_ASSET, Blow, Fault, Schedule, Stage
from database_clock import let_clock_be_set, set_clock
from psycopg import Connection, sql
from psycopg.rows import DictRow, TupleRow, dict_row
from simulator_fixture import Simulator
from system_fixture import Database, PostgresServer

from screener_collector.work import Fetch
from screener_local.postgres import Postgres
from screener_operator.facts import JobFacts, JobState
from screener_sql.model import NEVER_RETRIED, ExitCode

SCHEMA = "financial_screener"
PATIENCE_S = 90.0
TICK_S, OPERATOR_S = 0.005, 0.03
PARTED = ("replace", "cut", "crash", "restart")
"""Blows that take a pod's lock away, and not the pod."""
STARTS = 60
"""More than any schedule can make necessary: then a pod dies of itself, again and again."""

Spec = Mapping[str, Any]
Left = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Runs:
    """Runs that are under way at once. `moment`: when they begin, for everybody; it is `days` later
    while the vendor's data stay as of then.
    """

    moment: str
    specs: tuple[Spec, ...]
    days: int = 0
    account: Mapping[str, int] = field(default_factory=dict)
    """Of the vendor's account, such as `dailyLimit`."""


@dataclass(frozen=True)
class Scenario:
    """`before`: what has been lived through when it begins. `symbols`: tickers that faults may
    pick. `events`: what happens at the market, whatever else goes wrong. `scarce`: who gets the
    calls there are depends on what goes wrong, so only the end of all stages is compared.
    `aimed_at`: answers of whole exchanges that faults are to strike. `in_plan`: endpoints that the
    vendor's plan is known to have.
    """

    name: str
    symbols: tuple[str, ...]
    stages: tuple[Runs, ...]
    before: tuple[Runs, ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()
    scarce: bool = False
    aimed_at: tuple[Fault, ...] = ()
    in_plan: tuple[str, ...] = ()


def spec(
    as_of: date,
    history_from: date,
    operations: Sequence[str],
    groups: Mapping[str, Sequence[str] | tuple[str, Sequence[str]]],
    **more: Any,
) -> Spec:
    """A run's spec. `groups`: by name the exchange codes, or one code and symbols of it."""

    def group(name: str, wanted: Any) -> dict[str, Any]:
        if isinstance(wanted, tuple):
            return {"name": name, "exchanges": [wanted[0]], "symbols": list(wanted[1])}
        return {"name": name, "exchanges": list(wanted)}

    return {
        "groups": [group(name, wanted) for name, wanted in groups.items()],
        "operations": list(operations),
        "history": {"from": history_from.isoformat()},
        "asOf": as_of.isoformat(),
        "indicators": False,
        **more,
    }


WATCH_LEASES = """
CREATE SCHEMA watch;
CREATE TABLE watch.leases (id bigint PRIMARY KEY, made_at timestamptz, read_at timestamptz);
CREATE FUNCTION watch.note_lease() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO watch.leases
    SELECT NEW.id, clock.clock_timestamp(), vendor_read_at
    FROM financial_screener.api_daily_quota WHERE day = NEW.day;
    RETURN NULL;
END
$$;
CREATE TRIGGER watch AFTER INSERT ON financial_screener.api_leases
    FOR EACH ROW EXECUTE FUNCTION watch.note_lease();
"""
"""Notes each lease as it is made, when the day is locked, with the reading that is the latest then.
"""

LEFT: dict[str, str] = {
    "bars": "SELECT ticker, date, open, high, low, close, adj_close, stock_prices.volume"
    " FROM stock_prices JOIN assets ON assets.id = asset_id ORDER BY ticker, date",
    "bars in quarantine": "SELECT ticker, date, rule, bar::text FROM quarantined_bars"
    " JOIN assets ON assets.id = asset_id WHERE released_at IS NULL"
    " AND rule NOT IN ('row_invalid', 'date_invalid', 'date_future', 'date_not_asked_for')"
    " ORDER BY 1, 2, 3, 4",
    "actions": "SELECT ticker, ex_date, corporate_actions.kind, split_new, split_old, dividend,"
    " corporate_actions.currency, unadjusted_dividend, confirmed_at IS NULL"
    " FROM corporate_actions JOIN assets ON assets.id = asset_id ORDER BY 1, 2, 3",
    "findings": "SELECT coalesce(ticker, exchanges.code), rule, severity, date_from, date_to"
    " FROM data_findings LEFT JOIN assets ON assets.id = asset_id"
    " LEFT JOIN exchanges ON exchanges.id = data_findings.exchange_id"
    " WHERE state <> 'released' ORDER BY 1, 2, 4",
    "assets": "SELECT ticker, kind, name, type, country, isin, listed, delisted_at IS NULL"
    " FROM assets ORDER BY ticker",
    "events": "SELECT ticker, event, old::text, new::text FROM asset_events"
    " JOIN assets ON assets.id = asset_id ORDER BY 1, 2, 3, 4",
    "states": "SELECT ticker, prices_loaded, prices_first_date, prices_last_date,"
    " prices_checked_from, prices_checked_to, splits_checked_to, dividends_checked_to,"
    " fundamentals_loaded, needs_prices_reprocess,"
    " needs_fundamentals_reprocess, prices_failures > 0, fundamentals_failures > 0,"
    " actions_failures > 0"
    " FROM asset_processing_state ORDER BY ticker",
}
"""What must be the same however it came about: everything but times, ids, attempts and calls."""

ENDS: dict[str, str] = {
    "fundamentals": "SELECT ticker, key, left(value::text, 40), left(md5(value::text), 8)"
    " FROM assets, jsonb_each(to_jsonb(assets)) WHERE value <> 'null' AND key <> 'id'"
    " AND key NOT LIKE '%%\\_id' AND key NOT LIKE '%%\\_at' ORDER BY 1, 2",
    "findings measured": "SELECT coalesce(ticker, exchanges.code), rule, date_from, measured,"
    " expected, message FROM data_findings LEFT JOIN assets ON assets.id = asset_id"
    " LEFT JOIN exchanges ON exchanges.id = data_findings.exchange_id"
    " WHERE state <> 'released' ORDER BY 1, 2, 3",
    "next fundamentals": "SELECT ticker, next_fundamental_refresh FROM asset_processing_state"
    " ORDER BY ticker",
    "items": "SELECT execution_id, ticker, operation, state, error_code, planned"
    " FROM plan_items JOIN assets ON assets.id = asset_id ORDER BY 1, 2, 3",
    "details of items": "SELECT execution_id, ticker, operation, status, error_code"
    " FROM asset_processing_details WHERE ticker IS NOT NULL ORDER BY 1, 2, 3",
    "executions": "SELECT execution_id, status, assets_discovered, assets_processed,"
    " assets_succeeded, assets_failed, assets_skipped, assets_deferred"
    " FROM process_executions ORDER BY 1",
}
"""And, where tries get over everything that goes wrong, how each run and each of its items ended,
and what is asked for once alone and so is as new as the moment when it was.
"""

LAST_ENDS = (
    "SELECT DISTINCT ON (ticker, operation) ticker,"
    " CASE WHEN operation LIKE 'prices%%' THEN 'prices' ELSE operation END AS operation, state"
    " FROM plan_items JOIN assets ON assets.id = asset_id"
    " WHERE (state <> 'skipped' OR error_code = 'no_trade')"
    " AND NOT (execution_id LIKE 'repair%%' AND state = 'skipped' AND EXISTS ("
    "  SELECT FROM plan_items AS before WHERE before.asset_id = assets.id"
    "  AND before.operation LIKE 'prices%%' AND before.state = 'succeeded'"
    "  AND before.expected_to = plan_items.expected_to))"
    " ORDER BY ticker, 2, plan_items.id DESC"
)
"""How the last attempt at each thing ended. That the repair, which asks again for whatever is still
looked for, found nothing newer than a run had that succeeded is no other end.
"""


@dataclass
class Job:
    """A Job: its pods, and whether it has ended. Where all of its pods have died one is started."""

    execution_id: str
    kind: str
    group: str
    pods: list[Pod] = field(default_factory=list)
    state: JobState = JobState.ACTIVE
    exit_code: int | None = None

    @property
    def alive(self) -> list[Pod]:
        """Pods that have not ended."""
        return [pod for pod in self.pods if pod.code is None]

    def facts(self) -> JobFacts:
        """What the operator sees of it."""
        return JobFacts(
            f"{self.execution_id}-{self.group}",
            self.kind,
            self.group,
            state=self.state,
            created_at=datetime.now(UTC),
            exit_code=self.exit_code,
        )


class Chaos:
    """One database of one server, one vendor, and the process that pods come from."""

    def __init__(
        self, postgres: Postgres, database: Database, simulator: Simulator, pods: Pods
    ) -> None:
        self.postgres = postgres
        self.database = database
        self.simulator = simulator
        self.pods = pods
        self._admin: Connection[TupleRow] | None = None
        # What was committed must be there after a crash.
        self.admin.execute(
            sql.SQL("ALTER DATABASE {} SET synchronous_commit TO on").format(
                sql.Identifier(database.name)
            )
        )
        let_clock_be_set(database)
        self.admin.execute(WATCH_LEASES)
        self._tables = self._read_tables()
        self._save("nothing")
        self._undisturbed: dict[str, Lived] = {}

    # The database

    @property
    def admin(self) -> Connection[TupleRow]:
        """The superuser's connection to the database."""
        if self._admin is None:
            self._admin = psycopg.connect(
                self.postgres.url("postgres", self.database.name), autocommit=True
            )
            self._admin.execute("SET search_path TO financial_screener, public")
        return self._admin

    def close(self) -> None:
        """Ends its connection."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def restart_postgres(self, *, crash: bool) -> None:
        """Stops it, in order or as a crash does, and starts it again on its port."""
        port = self.postgres.port
        self.postgres.stop(at_once=crash)
        self.close()
        self.postgres.start()
        assert self.postgres.port == port

    def _read_tables(self) -> dict[str, list[str]]:
        """Columns that can be written, by table; no partitions."""
        return dict(
            self.admin.execute(
                "SELECT relname, array_agg(attname::text ORDER BY attnum) FROM pg_class"
                " JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0"
                " AND NOT attisdropped AND attgenerated = ''"
                " WHERE relnamespace = 'financial_screener'::regnamespace"
                " AND relkind IN ('r', 'p') AND NOT relispartition GROUP BY relname ORDER BY 1"
            ).fetchall()
        )

    def _save(self, name: str) -> None:
        self.admin.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        for table in self._tables:
            self.admin.execute(
                sql.SQL("CREATE TABLE {} AS SELECT * FROM {}").format(
                    sql.Identifier(name, table), sql.Identifier(SCHEMA, table)
                )
            )

    def _restore(self, name: str) -> None:
        """All rows as they were saved; many times faster than a copy of the database. Whatever was
        still at work before is cut off.
        """
        self.admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with self.admin.transaction():
            # Neither foreign keys nor triggers.
            self.admin.execute("SET LOCAL session_replication_role TO replica")
            for table, columns in self._tables.items():
                target = sql.Identifier(SCHEMA, table)
                self.admin.execute(sql.SQL("DELETE FROM {}").format(target))
                names = sql.SQL(", ").join(map(sql.Identifier, columns))
                self.admin.execute(
                    sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}").format(
                        target, names, names, sql.Identifier(name, table)
                    )
                )

    def rows(self, statement: str, *parameters: object) -> list[DictRow]:
        """The rows of a query, as dicts."""
        with self.admin.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement.encode(), parameters).fetchall()

    def value(self, statement: str, *parameters: object) -> Any:
        """The one value of a query."""
        (row,) = self.rows(statement, *parameters)
        (value,) = row.values()
        return value

    # Scenarios

    def undisturbed(self, scenario: Scenario) -> "Lived":
        """What a scenario leaves when nothing goes wrong; lived through once."""
        if scenario.name not in self._undisturbed:
            self._restore("nothing")
            self.simulator.reset()
            for number, runs in enumerate(scenario.before):
                Life(self, f"before-{number}", runs, events=scenario.events).live()
            # So long ago that the lists and details of exchanges are asked for again.
            self.admin.execute(
                "UPDATE exchanges SET listed_at = listed_at - interval '8 days',"
                " details_at = details_at - interval '8 days'"
            )
            for endpoint in scenario.in_plan:
                # By the clock of the runs.
                self.admin.execute(
                    "INSERT INTO vendor_endpoints VALUES (%s, true, now())",
                    [endpoint],
                )
            # When fundamentals are due follows from the id, modulo the period of a week, and the
            # ids of assets to come from whatever was begun before, in vain too.
            self.admin.execute("ALTER SEQUENCE assets_id_seq INCREMENT BY 7")
            self._save(scenario.name)
            self._undisturbed[scenario.name] = self._live(scenario, None, None)
        return self._undisturbed[scenario.name]

    def disturbed(self, scenario: Scenario, schedule: Schedule) -> "Lived":
        """What a scenario leaves when it goes as the schedule says."""
        return self._live(scenario, schedule, self.undisturbed(scenario))

    def _live(
        self,
        scenario: Scenario,
        schedule: Schedule | None,
        undisturbed: "Lived | None",
    ) -> "Lived":
        self._restore(scenario.name)
        self.simulator.reset()
        self.pods.forget()
        lived = Lived()
        for number, runs in enumerate(scenario.stages):
            stage = schedule.stages[number] if schedule else None
            scale = undisturbed.took[number] if undisturbed else 0.0
            lived.add(Life(self, f"run-{number}", runs, stage, scale, scenario.events))
        strict = not scenario.scarce and (schedule is None or schedule.soft)
        if schedule is not None and not strict:
            # What failed for good is due again another day, and a history that is doubted with the
            # next session; nothing else is.
            self.admin.execute(
                "UPDATE asset_processing_state"
                " SET prices_next_attempt_at = NULL, fundamentals_next_attempt_at = NULL,"
                " actions_next_attempt_at = NULL,"
                " prices_checked_to = prices_checked_to - prices_doubted::integer"
            )
            lived.add(Life(self, "repair", scenario.stages[-1], events=scenario.events))
        lived.left = {name: self._left(statement) for name, statement in LEFT.items()}
        if strict:
            lived.left |= {name: self._left(statement) for name, statement in ENDS.items()}
        lived.left["last ends"] = self._left(LAST_ENDS)
        return lived

    def _left(self, statement: str) -> list[tuple[Any, ...]]:
        return self.admin.execute(statement.encode(), []).fetchall()


@dataclass
class Lived:
    """What is left, what each stage took in seconds, what was asked for in it, and what must not
    have been.
    """

    left: Left = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def add(self, life: "Life") -> None:
        """Lives through a stage."""
        began = time.monotonic()
        life.live()
        self.took.append(time.monotonic() - began)
        self.asked |= life.asked
        self.wrong += life.wrong


class Life:
    """One stage: its runs from `kubectl apply` to their ends. `scale`: seconds that a schedule's
    times are parts of.
    """

    def __init__(
        self,
        chaos: Chaos,
        name: str,
        runs: Runs,
        stage: Stage | None = None,
        scale: float = 0.0,
        events: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.chaos = chaos
        self.name = name
        self.runs = runs
        self.stage = stage or Stage(1, (1,), (), ())
        self.scale = scale
        self.events = events
        self.jobs: dict[tuple[str, str, str], Job] = {}
        self.operator = Operator(
            chaos.database.urls["operator"],
            self._start_job,
            lambda uid: [job.facts() for (owner, _, _), job in self.jobs.items() if owner == uid],
            self._now,
        )
        self.asked: set[str] = set()
        self.wrong: list[str] = []
        self._blows = list(self.stage.blows)
        self._thaws: list[tuple[float, Pod]] = []
        self._starts = 0
        self._ahead = timedelta()
        self._ahead_of_vendor = timedelta()
        self._known: set[str] = set()

    def live(self) -> None:
        """Lives through it; `wrong` tells afterwards what must not have been."""
        simulator = self.chaos.simulator
        begin = datetime.fromisoformat(self.runs.moment) + timedelta(days=self.runs.days)
        # Postgres' clock is ahead of the vendor's by what the request takes: an arrival after a row
        # was stored is one for certain.
        self._ahead = begin - datetime.now(UTC)
        simulator.clock(data=self.runs.moment, accounting=begin.isoformat())
        self._ahead_of_vendor = self._now() - begin
        set_clock(self.chaos.database, self._ahead)
        simulator.admin("account", dict(self.runs.account))
        others = [
            {
                "kind": "other_clients",
                "from": (begin + timedelta(seconds=at * self.scale)).isoformat(),
                "calls": calls,
            }
            for at, calls in self.stage.others
        ]
        script = [*self.events, *others, *self.stage.faults]
        simulator.admin("faults", {"seed": self.stage.seed, "faults": script})
        self._known = self._known_already(begin)
        seen = len(simulator.arrivals())
        leased = self.chaos.value("SELECT coalesce(max(id), 0) FROM watch.leases")
        for number, each in enumerate(self.runs.specs):
            self.operator.add(collection_run(f"{self.name}-{number}", dict(each), begin))
        began = time.monotonic()
        stepped = 0.0
        try:
            while True:
                elapsed = time.monotonic() - began
                self._strike(elapsed)
                self.chaos.pods.look(TICK_S)
                self._tend()
                if time.monotonic() - stepped > OPERATOR_S:
                    self.operator.step()
                    stepped = time.monotonic()
                if self.operator.ended() and not any(job.alive for job in self.jobs.values()):
                    break
                if elapsed > PATIENCE_S:
                    raise AssertionError(f"{self.name} never ended:\n{self._tell()}")
        finally:
            self.operator.die()
        simulator.admin("faults", {})
        self._check(seen, leased)

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    # Jobs

    def _start_job(self, execution_id: str, kind: str, group: str) -> None:
        job = self.jobs.setdefault((execution_id, kind, group), Job(execution_id, str(kind), group))
        if not job.pods:
            many = self.stage.pods[len(self.jobs) % len(self.stage.pods)]
            for _ in range(many):
                self._start_pod(job)

    def _start_pod(self, job: Job) -> None:
        self._starts += 1
        assert self._starts < STARTS, f"pods die of themselves:\n{self._tell()}"
        pod = self.chaos.pods.start(
            job.kind,
            job.group,
            {
                "DATABASE_URL": self.chaos.database.urls["collector"],
                "EODHD_API_TOKEN": self.chaos.simulator.token,
                "EODHD_BASE_URL": self.chaos.simulator.url,
                "EXECUTION_ID": job.execution_id,
                "SLICE": job.group,
                "LOG_FORMAT": "text",
            },
        )
        job.pods.append(pod)

    def _tend(self) -> None:
        """What the Job controller does."""
        for job in self.jobs.values():
            if job.state is not JobState.ACTIVE:
                continue
            codes = [pod.code for pod in job.pods if pod.code is not None]
            final = [code for code in codes if code == ExitCode.DONE or code in NEVER_RETRIED]
            if final:
                done = ExitCode.DONE in final
                job.state = JobState.COMPLETE if done else JobState.FAILED
                job.exit_code = ExitCode.DONE if done else final[0]
                for pod in job.alive:
                    pod.terminate()
            elif not job.alive:
                self._start_pod(job)
        for job in self.jobs.values():
            for pod in job.pods:
                if pod.code == ExitCode.UNEXPECTED and "unexpected error" in pod.text():
                    raise AssertionError(f"a pod failed of itself:\n{self._tell()}")

    # What goes wrong

    def _strike(self, elapsed: float) -> None:
        for at, pod in list(self._thaws):
            if elapsed >= at:
                pod.thaw()
                self._thaws.remove((at, pod))
        while self._blows and elapsed >= self._blows[0].at * self.scale:
            blow = self._blows.pop(0)
            self._do(blow, elapsed)
            self._compare_counts()

    def _do(self, blow: Blow, elapsed: float) -> None:
        alive = [pod for job in self.jobs.values() for pod in job.alive]
        pod = alive[blow.pick % len(alive)] if alive else None
        match blow.what:
            case "crash" | "restart":
                self.chaos.restart_postgres(crash=blow.what == "crash")
            case "operator":
                self.operator.die()
            case "another":
                jobs = [job for job in self.jobs.values() if job.alive]
                if jobs:
                    self._start_pod(jobs[blow.pick % len(jobs)])
            case "kill" if pod:
                pod.kill()
            case "terminate" if pod:
                pod.terminate()
            case "cut" if pod:
                self._cut(pod)
            case "freeze" | "replace" if pod and not pod.frozen:
                pod.freeze()
                if blow.what == "replace":
                    self._cut(pod)
                self._thaws.append((elapsed + blow.lasts * max(self.scale, 0.2), pod))
                if blow.what == "replace":
                    job = next(job for job in self.jobs.values() if pod in job.pods)
                    self._start_pod(job)

    def _cut(self, pod: Pod) -> None:
        """Postgres ends the pod's connections, as it does with one that no longer answers."""
        with contextlib.suppress(psutil.Error):
            ports = [each.laddr.port for each in psutil.Process(pod.pid).net_connections("tcp")]
            self.chaos.admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND client_port = ANY (%s)",
                [ports],
            )

    # What must always hold

    def _compare_counts(self) -> None:
        """Our count of a day is never below the vendor's."""
        counted = {
            day: sum(use["calls"] for name, use in uses.items() if name != "other")
            for day, uses in self.chaos.simulator.usage().items()
        }
        ours = {
            row["day"].isoformat(): row["calls_used"]
            for row in self.chaos.rows("SELECT day, calls_used FROM api_daily_quota")
        }
        for day, calls in counted.items():
            if calls > ours.get(day, 0):
                self.wrong.append(
                    f"{self.name}: {calls} calls of {day} by the vendor, {ours.get(day, 0)} by us"
                )

    def _check(self, seen: int, leased: int) -> None:
        self._compare_counts()
        entries = self.chaos.simulator.arrivals(seen)
        leases = [
            Made(row["made_at"], row["read_at"])
            for row in self.chaos.rows(
                "SELECT made_at, read_at FROM watch.leases WHERE id > %s ORDER BY id", leased
            )
        ]
        for entry in sent_without_calls(entries, leases, self._ahead_of_vendor):
            self.wrong.append(f"{self.name}: sent without calls left: {entry}")
        self._check_refetches(entries)
        for name, statement in NEVER.items():
            for row in self.chaos.rows(statement):
                self.wrong.append(f"{self.name}: {name}: {row}")

    def _check_refetches(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """What is stored is not asked for again, by no run of the stage; and what was known when it
        began is not, unless it is read again on purpose.
        """
        stored: dict[str, datetime] = {}
        on_purpose: set[str] = set()
        for row in self.chaos.rows(FETCHES, f"{self.name}-%"):
            finished_at, again_on_purpose = row.pop("stored_at"), row.pop("again")
            asked = Fetch(**row).endpoint
            subject = subject_of(asked.path, asked.params)
            if finished_at is not None:
                stored[subject] = min(finished_at, stored.get(subject, finished_at))
            if again_on_purpose:
                on_purpose.add(subject)
        again: list[str] = []
        for row in self.chaos.rows(CHANGED, f"{self.name}-%"):
            # Under the code another asset is meant from now on, or another unit.
            self._known -= {f"{endpoint}/{row['ticker']}" for endpoint in PER_ASSET}
        claimed_at = self.chaos.value(
            "SELECT min(claimed_at) FROM plan_fetches WHERE execution_id LIKE %s", f"{self.name}-%"
        )
        for entry in entries:
            path, _, parameters = entry["path"].partition("?")
            subject = subject_of(path, dict(parse_qsl(parameters)))
            self.asked.add(subject)
            at = datetime.fromisoformat(entry["at"])
            if entry["endpoint"] == "eod" and (
                claimed_at is None or at + self._ahead_of_vendor < claimed_at
            ):
                continue  # of a preflight: whose bars are these
            if subject in self._known - on_purpose:
                self.wrong.append(f"{self.name}: known before it began, and asked for: {entry}")
            elif subject in stored and at > stored[subject]:
                again.append(
                    f"{self.name}: stored at {stored[subject]}, and fetched again: {entry}"
                )
        for subject in stored.keys() - self.asked:
            self.wrong.append(f"{self.name}: stored, and never asked for: {subject}")
        # A pod that is parted from its lock may have one request half sent, and be slow or frozen;
        # then others do its work.
        if len(again) > sum(blow.what in PARTED for blow in self.stage.blows):
            self.wrong += again

    def _known_already(self, begin: datetime) -> set[str]:
        """What no run of the stage has to ask for, by single requests."""
        last = max(each["asOf"] for each in self.runs.specs)
        return {
            f"{row['endpoint']}/{row['code']}.{row['exchange']}"
            for row in self.chaos.rows(KNOWN, last, last, last, begin.date())
        }

    def _tell(self) -> str:
        lines = []
        for job in self.jobs.values():
            lines.append(f"Job {job.execution_id} {job.kind} {job.group}: {job.state}")
            for pod in job.pods:
                frozen = ", frozen" if pod.frozen else ""
                lines.append(f"  {pod.name}: {pod.code}{frozen}")
                lines += [f"    {line}" for line in pod.text().splitlines()[-40:]]
        return "\n".join(lines)


FETCHES = (
    "SELECT plan_fetches.id, ordinal, plan_fetches.kind, plan_fetches.exchange_id,"
    " exchanges.code AS exchange, asset_id, assets.code AS code, session, date_from, date_to,"
    " calls, purpose, symbols, page_offset,"
    " CASE WHEN plan_fetches.state = 'done' THEN finished_at END AS stored_at,"
    " purpose IN ('refresh', 'correction') OR ordinal = 500000 AS again"
    " FROM plan_fetches JOIN exchanges ON exchanges.id = plan_fetches.exchange_id"
    " LEFT JOIN assets ON assets.id = asset_id WHERE execution_id LIKE %s"
)
"""As a pod claims them. Again on purpose: to be refreshed, or as a new action is to show."""

KNOWN = (
    "SELECT endpoint, assets.code, exchanges.code AS exchange FROM asset_processing_state"
    " JOIN assets ON assets.id = asset_id JOIN exchanges ON exchanges.id = assets.exchange_id"
    " CROSS JOIN LATERAL (VALUES"
    " ('eod', prices_loaded AND NOT needs_prices_reprocess AND NOT prices_doubted"
    "   AND wanted_to IS NULL AND prices_checked_to >= %s),"
    " ('splits', splits_checked_to >= %s), ('div', dividends_checked_to >= %s),"
    " ('fundamentals', fundamentals_loaded AND NOT needs_fundamentals_reprocess"
    "   AND next_fundamental_refresh > %s)) AS known (endpoint, is_known)"
    " WHERE is_known AND assets.kind = 'listing'"
)

CHANGED = (
    "SELECT coalesce(old ->> 'code', assets.code) || '.' || exchanges.code AS ticker"
    " FROM asset_events JOIN assets ON assets.id = asset_id"
    " JOIN exchanges ON exchanges.id = assets.exchange_id"
    " WHERE event IN ('renamed', 'isin_changed', 'currency_changed') AND execution_id LIKE %s"
)
TELLING = ("date", "type", "symbols", "offset")
"""Parameters of what a request is for; the others are of its form, and of how far it reaches."""


def subject_of(path: str, parameters: Mapping[str, str]) -> str:
    """What a request is for, whatever span of it."""
    told = [parameters[name] for name in TELLING if name in parameters]
    return " ".join([path.strip("/"), *told])


NEVER: dict[str, str] = {
    "an item is left open": "SELECT execution_id, asset_id, operation FROM plan_items"
    " WHERE state = 'planned'",
    "an item without one detail row": "SELECT execution_id, assets.ticker, plan_items.operation,"
    " count(details.id) FROM plan_items JOIN assets ON assets.id = plan_items.asset_id"
    " LEFT JOIN asset_processing_details AS details USING (execution_id, asset_id, operation)"
    " GROUP BY 1, 2, 3 HAVING count(details.id) <> 1",
    "a detail row says otherwise than its item": "SELECT execution_id, assets.ticker, state, status"
    " FROM plan_items JOIN assets ON assets.id = asset_id"
    " JOIN asset_processing_details AS details USING (execution_id, asset_id, operation)"
    " WHERE status <> CASE state WHEN 'succeeded' THEN 'success' ELSE state END",
    "a last date that is not the last bar's": "SELECT ticker, prices_last_date, max(date)"
    " FROM asset_processing_state LEFT JOIN stock_prices USING (asset_id)"
    " GROUP BY ticker, prices_last_date HAVING prices_last_date IS DISTINCT FROM max(date)",
    "more than the run's budget": "SELECT * FROM execution_budgets WHERE calls_used > max_calls",
}
"""Rows that must never be there once runs have ended."""


def differences(wanted: Left, found: Left, most: int = 12) -> list[str]:
    """What is missing and what is too much, a line each."""
    lines: list[str] = []
    for name in wanted:
        if name not in found:
            continue
        before, after = list(map(str, wanted[name])), list(map(str, found[name]))
        if before == after:
            continue
        missing = sorted(set(before) - set(after))
        more = sorted(set(after) - set(before))
        lines.append(f"{name}: {len(before)} undisturbed, {len(after)} found")
        lines += [f"  missing  {line}" for line in missing[:most]]
        lines += [f"  too much {line}" for line in more[:most]]
    return lines


@pytest.fixture(scope="session")
def chaos(
    postgres_server: PostgresServer,
    _simulator_process: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Chaos]:
    """A database of its own for all schedules of this test process."""
    pods = Pods.begin(tmp_path_factory.mktemp("pods"))
    with postgres_server.migrated_database() as database:
        world = Chaos(postgres_server.postgres, database, _simulator_process, pods)
        yield world
        world.close()
    pods.end()
