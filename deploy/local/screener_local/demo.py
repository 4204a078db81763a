"""The main job, shown: a run from nothing, what it stored, and what the next session costs."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic
from typing import Any

import httpx
import psycopg

from screener_local.__main__ import up
from screener_local.errors import LocalError, PartFailed
from screener_local.runs import apply, ended, watch
from screener_local.system import LocalSystem
from screener_local.tables import table

FIRST_SESSION = date(2023, 9, 19)
"""Where the six companies' real bars are about to end: the second run brings their last but one."""
COMPANIES = ("AAPL", "AMZN", "GOOG", "META", "NFLX", "NVDA")
GROUPS = (
    {"name": "us", "exchanges": ["US"], "symbols": list(COMPANIES)},
    {"name": "spain", "exchanges": ["MC"]},
    {"name": "swiss", "exchanges": ["SW"]},
)
RUN_TIMEOUT_S = 420
HTTP_TIMEOUT_S = 10

MONITORING = (
    ("Overall progress", "SELECT * FROM get_processing_progress()"),
    ("Today's activity", "SELECT * FROM v_today_processing_activity"),
    (
        "Recent executions",
        "SELECT process_name, status, assets_processed, assets_failed, assets_skipped,"
        " api_calls_used, duration_seconds FROM v_recent_executions LIMIT 10",
    ),
    (
        "Failed tickers",
        "SELECT ticker, consecutive_failures, last_error_message FROM asset_processing_state"
        " WHERE consecutive_failures >= 1 ORDER BY consecutive_failures DESC LIMIT 5",
    ),
    (
        "API usage by operation",
        "SELECT operation, COUNT(*) AS operations, SUM(api_calls_used) AS total_api_calls"
        " FROM asset_processing_details WHERE DATE(created_at) = CURRENT_DATE GROUP BY operation"
        " ORDER BY operation",
    ),
)
RESULT = (
    "SELECT ticker, calculation_date AS last_bar, close, adj_close, sma_50,"
    " rsi_14, macd, atr_14, week_52_high"
    " FROM technical_indicators"
    " JOIN assets ON assets.id = asset_id"
    " JOIN stock_prices AS price"
    " ON price.asset_id = assets.id AND price.date = calculation_date"
    " WHERE calculation_date = %(session)s"
    " ORDER BY ticker = ANY (%(first)s) DESC, ticker LIMIT %(rows)s"
)


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo runs on: a system that is up, with the vendor simulator."""

    system: LocalSystem

    def run(self) -> None:
        """Raises PartFailed, psycopg.Error or httpx.HTTPError."""
        first = self._newest_session() or FIRST_SESSION
        stamp = f"{datetime.now(UTC):%H%M%S}"
        with self._vendor_clock() as clock:
            clock(first)
            say(
                f"A first run: all codes of BME and SIX and six US companies, up to {first}",
                "(the simulator's clock stands at the morning after).",
            )
            self._collect(f"demo-{stamp}", first)
            self._monitoring()
            self._result(first, 10, "Ten rows of the result (the six companies' bars are real)")
            following = self._following_session(first)
            clock(following)
            say(
                f"One session later ({following}), a second run shows what a day costs:",
                "only what is new is asked for.",
            )
            self._collect(f"demo-{stamp}-next", following)
            self._usage()
            self._result(following, 6, "The six companies one session later")
        say("The simulator's clock is real time again. What to try next:")
        print(
            "  . .local/env                         # kubectl, psql and this system's addresses\n"
            "  kubectl get screener                 # all runs\n"
            f"  kubectl describe colrun demo-{stamp}\n"
            "  kubectl get events --sort-by=.metadata.creationTimestamp\n"
            "  kubectl logs -l financial-screener.io/group=spain --tail=5\n"
            "  kubectl apply -f deploy/samples/dry-run.yaml   # what a whole daily run would cost\n"
            "  make down                            # stop it; WIPE=1 removes its data"
        )

    def _collect(self, name: str, session: date) -> None:
        """Applies a run, shows it until it and its IndicatorRun have ended."""
        spec = {"groups": GROUPS, "asOf": session.isoformat()}
        print(apply(self.system.kubectl, "CollectionRun", name, spec))
        run = self._show("collectionruns", name)
        follower = run["status"].get("indicatorRun")
        if follower:
            self._show("indicatorruns", follower)
        if run["status"]["phase"] not in ("Succeeded", "Partial"):
            raise PartFailed(
                name,
                f"the run ended {run['status']['phase']}",
                log_tail=run["status"]["message"],
                hint=f"kubectl describe collectionrun {name}",
            )

    def _show(self, kind: str, name: str) -> dict[str, Any]:
        print(f"\n$ kubectl get {kind} --watch")
        began = monotonic()
        shown: dict[str, str] = {}
        run: dict[str, Any] = {}
        for run in watch(self.system.kubectl, kind, name, until=ended, timeout_s=RUN_TIMEOUT_S):
            lines = self.system.kubectl.ask(name, "get", kind, name).splitlines()
            if not shown:
                print(f"  {'':>5}  {lines[0]}")
            if shown.get("") != (row := lines[1].rsplit(None, 1)[0]):
                shown[""] = row
                print(f"  {monotonic() - began:4.0f}s  {lines[1]}", flush=True)
            for group in run.get("status", {}).get("groups", []):
                counts = group.get("counts", {})
                line = (
                    f"{group['name']:<10} {group['state']:<10}"
                    f" {counts.get('succeeded', 0)} succeeded, {counts.get('failed', 0)} failed,"
                    f" {counts.get('skipped', 0)} skipped of {counts.get('discovered', 0)}"
                )
                if kind == "collectionruns" and shown.get(group["name"]) != line:
                    shown[group["name"]] = line
                    print(f"           · {line}", flush=True)
        print(f"  {run['status']['message']}")
        return run

    def _monitoring(self) -> None:
        say(
            "The monitoring queries of the Airflow system, unchanged",
            "(this data ends in 2023, so no price counts as up to date today):",
        )
        for title, statement in MONITORING:
            self._query(title, statement, {})

    def _result(self, session: date, rows: int, title: str) -> None:
        first = [f"{code}.US" for code in COMPANIES]
        self._query(title, RESULT, {"session": session, "first": first, "rows": rows})

    def _usage(self) -> None:
        """Both sides' counts: the ledger's and the vendor's own."""
        usage = self._admin("GET", "/admin/usage").get(f"{datetime.now(UTC):%Y-%m-%d}", {})
        vendor = sum(row["calls"] for row in usage.values())
        self._query(
            f"Calls of the day: the vendor counted {vendor:,}, the ledger says",
            "SELECT calls_limit, calls_used, calls_remaining, health FROM v_quota_status",
            {},
        )

    def _query(self, title: str, statement: str, parameters: dict[str, object]) -> None:
        print(f"\n{title}")
        with psycopg.connect(self.system.postgres.owner_url, connect_timeout=5) as connection:
            connection.execute("SET search_path TO financial_screener")
            cursor = connection.execute(statement.encode(), parameters)
            header = [column.name for column in cursor.description or ()]
            print(table(header, cursor.fetchall()))

    def _one_date(self, statement: bytes, parameters: Sequence[object] = ()) -> date | None:
        with psycopg.connect(self.system.postgres.owner_url, connect_timeout=5) as connection:
            row = connection.execute(statement, parameters).fetchone()
        return row[0] if row else None

    def _newest_session(self) -> date | None:
        """Where an earlier demo on the same data ended."""
        return self._one_date(
            b"SELECT max(prices_checked_to) FROM financial_screener.asset_processing_state"
        )

    def _following_session(self, session: date) -> date:
        following = self._one_date(
            b"SELECT min(session) FROM financial_screener.exchange_sessions"
            b" JOIN financial_screener.exchanges ON exchanges.id = exchange_id"
            b" WHERE code = 'US' AND session > %s",
            (session,),
        )
        return following or session + timedelta(days=1)

    @contextmanager
    def _vendor_clock(self) -> Iterator[Any]:
        """A function that sets the simulator's data clock to the morning after a session, when its
        splits and dividends are listed too; real time again after.
        """

        def stand_at(session: date) -> None:
            morning = datetime.combine(session + timedelta(days=1), time(5), UTC)
            self._admin("PUT", "/admin/clock", {"data": f"{morning:%Y-%m-%dT%H:%M:%SZ}"})

        try:
            yield stand_at
        finally:
            self._admin("PUT", "/admin/clock", {"data": None})

    def _admin(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = httpx.request(
            method,
            self.system.simulator.root + path,
            content=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/json"},
            timeout=HTTP_TIMEOUT_S,
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def say(*sentences: str) -> None:
    """A heading for people."""
    print("\n" + " ".join(sentences), flush=True)
    sys.stdout.flush()


def main() -> int:
    """Starts the user's system, shows the main job on it, and leaves it up."""
    began = monotonic()
    system = up()
    if system.vendor is not None:
        raise LocalError(
            "The demo moves the vendor's clock, so it runs on the simulator only:"
            " unset EODHD_BASE_URL and EODHD_API_TOKEN, then make demo."
        )
    Demo(system).run()
    print(f"\nThe demo took {monotonic() - began:.0f} s; the system stays up.")
    return 0
