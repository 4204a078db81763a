"""A run in the middle: plan rows written by hand, and the collector as a Job runs it, a process."""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from time import monotonic, sleep
from typing import Any

from market import Asset, add_assets, add_sessions, open_execution
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow, dict_row
from psycopg.sql import SQL, Identifier, Literal
from simulator_fixture import DATA_MOMENT, Simulator

Owner = Connection[TupleRow]

FIRST, LAST = date(2022, 9, 19), date(2023, 9, 19)
"""The history that the tests ask for; the simulator's data clock stands at the end of it."""
PASSWORD = "a-Password-to-be-seen-nowhere"


@contextmanager
def login(owner: Owner) -> Iterator[str]:
    """The connection string of a login that may what the collector may, and no more."""
    name = f"collector_{secrets.token_hex(6)}"
    owner.execute(
        SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE screener_collector").format(
            Identifier(name), Literal(PASSWORD)
        )
    )
    at = owner.info
    yield make_conninfo(host=at.host, port=at.port, dbname=at.dbname, user=name, password=PASSWORD)
    owner.execute(SQL("DROP ROLE {}").format(Identifier(name)))


@dataclass(frozen=True)
class Ended:
    """How a collector process ended."""

    code: int
    log: str

    @property
    def messages(self) -> list[str]:
        """The log's messages, one a line."""
        return [json.loads(line)["message"] for line in self.log.splitlines()]


@dataclass
class World:
    """The database, the vendor and an execution `run-1`."""

    owner: Owner
    url: str
    simulator: Simulator
    execution_id: str = "run-1"
    settings: dict[str, str] = field(default_factory=dict)

    noon: datetime = field(
        default_factory=lambda: datetime.combine(datetime.now(UTC).date(), time(12), UTC)
    )
    """When it begins by the vendor's clock."""

    def __post_init__(self) -> None:
        """It is noon by the vendor's clock, which runs on, and Postgres knows: whenever a test is
        run, it is over before the GMT day is and before the vendor's maintenance begins.
        """
        self.simulator.clock(accounting=self.noon.isoformat())
        self.owner.execute(
            "INSERT INTO financial_screener.vendor_account (clock_skew)"
            " VALUES (%s - clock_timestamp())"
            " ON CONFLICT (only_row) DO UPDATE SET clock_skew = excluded.clock_skew",
            (self.noon,),
        )

    @property
    def today(self) -> date:
        """The vendor's GMT day, whose calls are counted."""
        return self.noon.date()

    # The collector

    def start(self, what: str, name: str = "", **settings: str) -> "subprocess.Popen[str]":
        """Starts `screener-collect`, with nothing in its environment but its settings."""
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": self.url,
            "EODHD_API_TOKEN": self.simulator.token,
            "EODHD_BASE_URL": self.simulator.url,
            "EXECUTION_ID": self.execution_id,
            "SLICE": name,
            "POD_NAME": "pod-of-a-test",
            "LOG_FORMAT": "json",
            "PYTHONWARNINGS": "error",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "screener_collector", what],
            env=environment | self.settings | settings,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self, process: "subprocess.Popen[str]", timeout: float = 180.0) -> Ended:
        """Waits for the end; whatever it wrote must hold no secret."""
        try:
            _, log = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            _, log = process.communicate()
            raise AssertionError(f"the collector did not end:\n{log}") from None
        assert self.simulator.token not in log
        assert PASSWORD not in log
        return Ended(process.returncode, log)

    def collect(self, what: str, name: str = "", **settings: str) -> Ended:
        """Runs `screener-collect` to its end."""
        return self.wait(self.start(what, name, **settings))

    def group(self, name: str = "swiss", **settings: str) -> Ended:
        """Runs a group's Job."""
        return self.collect("group", name, **settings)

    def preflight(self, **settings: str) -> Ended:
        """Runs the preflight's Job."""
        return self.collect("preflight", **settings)

    # Rows

    def rows(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """The rows of a query, as dicts."""
        with self.owner.cursor(row_factory=dict_row) as cursor:
            cursor.execute("SET search_path TO financial_screener")
            return cursor.execute(statement.encode(), parameters).fetchall()

    def value(self, statement: str, *parameters: object) -> Any:
        """The one value of a query."""
        (row,) = self.rows(statement, *parameters)
        (value,) = row.values()
        return value

    def until(self, condition: Callable[[], object], what: str, timeout: float = 120.0) -> None:
        """Waits for something to be seen; so long only where it never is."""
        deadline = monotonic() + timeout
        while not condition():
            assert monotonic() < deadline, f"never seen: {what}"
            sleep(0.02)

    def open(
        self,
        spec: dict[str, object] | None = None,
        *,
        execution_id: str | None = None,
        groups: Sequence[str] = ("swiss",),
        max_calls: int | None = None,
        keep_calls: int = 0,
    ) -> None:
        """An execution with its budget and slices, as the operator opens it."""
        self.execution_id = execution_id or self.execution_id
        open_execution(
            self.owner, self.execution_id, spec=spec, max_calls=max_calls, keep_calls=keep_calls
        )
        for kind, name in (("preflight", "preflight"), *(("group", name) for name in groups)):
            self.owner.execute(
                "INSERT INTO financial_screener.slices (execution_id, kind, name)"
                " VALUES (%s, %s, %s)",
                (self.execution_id, kind, name),
            )

    def add(self, *assets: Asset) -> None:
        """Assets and their states."""
        # A plan's tests want no refresh; here a bulk day may not be older than the last history.
        add_assets(self.owner, [replace(asset, refreshed_at=None) for asset in assets])

    def asset_id(self, ticker: str) -> int:
        """The id of `ABC.SW`."""
        found: int = self.value("SELECT id FROM assets WHERE ticker = %s", ticker)
        return found

    def plan(
        self,
        ticker: str,
        kind: str = "prices",
        *,
        operation: str = "",
        group: str = "swiss",
        first: date = FIRST,
        last: date = LAST,
        purpose: str = "due",
    ) -> int:
        """A fetch of an asset's own and the item that it serves; the item's id.

        One for reference serves none: then the fetch's id.
        """
        operations = {"prices": "prices_bulk", "fundamentals": "fundamentals_bulk"}
        operation = operation or operations.get(kind, kind)
        calls = 10 if kind == "fundamentals" else 1
        span = (None, None) if kind == "fundamentals" else (first, last)
        exchange = self.value("SELECT exchange_id FROM assets WHERE ticker = %s", ticker)
        fetch = self.value(
            "INSERT INTO plan_fetches (execution_id, group_name, ordinal, kind, exchange_id,"
            " asset_id, date_from, date_to, calls, purpose)"
            " VALUES (%s, %s, 1000000 + %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            self.execution_id,
            group,
            ("prices", "splits", "dividends", "fundamentals").index(kind),
            kind,
            exchange,
            self.asset_id(ticker),
            *span,
            calls,
            purpose,
        )
        if purpose == "reference":
            return int(fetch)
        item: int = self.value(
            "INSERT INTO plan_items (execution_id, group_name, asset_id, exchange_id, operation,"
            " way, fetch_id, expected_to, planned_calls)"
            " VALUES (%s, %s, %s, %s, %s, 'asset', %s, %s, %s) RETURNING id",
            self.execution_id,
            group,
            self.asset_id(ticker),
            exchange,
            operation,
            fetch,
            last,
            calls,
        )
        return item

    def plan_bulk(
        self, exchange: str, tickers: Sequence[str], *sessions: date, group: str = "swiss"
    ) -> None:
        """The three bulk fetches of each session, and an item for each asset."""
        exchange_id = self.value("SELECT id FROM exchanges WHERE code = %s", exchange)
        for ordinal, session in enumerate(sessions):
            for place, kind in enumerate(("bulk_dividends", "bulk_splits", "bulk_prices")):
                self.rows(
                    "INSERT INTO plan_fetches (execution_id, group_name, ordinal, kind,"
                    " exchange_id, session, date_from, date_to, calls)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 100) RETURNING id",
                    self.execution_id,
                    group,
                    3 * ordinal + place,
                    kind,
                    exchange_id,
                    session,
                    session,
                    session,
                )
        for ticker in tickers:
            self.rows(
                "INSERT INTO plan_items (execution_id, group_name, asset_id, exchange_id,"
                " operation, way, expected_to)"
                " VALUES (%s, %s, %s, %s, 'prices_incremental', 'bulk', %s) RETURNING id",
                self.execution_id,
                group,
                self.asset_id(ticker),
                exchange_id,
                sessions[-1],
            )

    # What must always hold

    def items(self) -> dict[tuple[str, str], tuple[str, str | None]]:
        """State and error code by ticker and operation, of this execution."""
        return {
            (row["ticker"], row["operation"]): (row["state"], row["error_code"])
            for row in self.rows(
                "SELECT ticker, operation, plan_items.state, error_code FROM plan_items"
                " JOIN assets ON assets.id = asset_id WHERE execution_id = %s",
                self.execution_id,
            )
        }

    def details(self) -> dict[tuple[str | None, str], tuple[str, int]]:
        """Status and calls by ticker and operation; fails when an item has two rows.

        Without a ticker there may be one for each batch that was closed: the sum of their calls.
        """
        rows = self.rows(
            "SELECT ticker, operation, status, api_calls_used FROM asset_processing_details"
            " WHERE execution_id = %s",
            self.execution_id,
        )
        found: dict[tuple[str | None, str], tuple[str, int]] = {}
        for row in rows:
            key = (row["ticker"], row["operation"])
            status, calls = found.get(key, (row["status"], 0))
            assert key not in found or key[0] is None, f"two detail rows of {key}"
            assert status == row["status"], f"detail rows of {key} of unlike status"
            found[key] = (status, calls + row["api_calls_used"])
        return found

    def used(self) -> int:
        """Calls by our ledger, but for those that were given back and can be leased again."""
        calls: int = self.value(
            "SELECT coalesce(sum(calls_used - calls_returned), 0) FROM api_daily_quota"
        )
        return calls

    def logged(self) -> int:
        """Calls by `api_usage_log`."""
        calls: int = self.value("SELECT coalesce(sum(calls), 0) FROM api_usage_log")
        return calls

    def detailed(self) -> int:
        """Calls by the detail rows."""
        calls: int = self.value(
            "SELECT coalesce(sum(api_calls_used), 0) FROM asset_processing_details"
        )
        return calls

    def assert_ledgers_agree(self) -> None:
        """Our ledger, its log, the detail rows and the vendor's own counter say the same."""
        budget = self.value("SELECT coalesce(sum(calls_used), 0) FROM execution_budgets")
        assert {
            "quota": self.used(),
            "budgets": budget,
            "log": self.logged(),
            "details": self.detailed(),
        } == dict.fromkeys(("quota", "budgets", "log", "details"), self.simulator.calls())
        assert self.value("SELECT count(*) FROM api_leases WHERE closed_at IS NULL") == 0

    def assert_no_secret(self) -> None:
        """No row of any table holds the token or the password."""
        tables = self.rows(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'financial_screener'"
        )
        for secret in (self.simulator.token, PASSWORD):
            for table in tables:
                count = self.value(
                    f"SELECT count(*) FROM {table['tablename']} AS t"  # noqa: S608
                    " WHERE t::text LIKE %s",
                    f"%{secret}%",
                )
                assert count == 0, f"{table['tablename']} holds a secret"


def kill(process: "subprocess.Popen[str]") -> None:
    """kill -9, and waits for it."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


@contextmanager
def world_of_two(owner: Owner, simulator: Simulator, first: date, last: date) -> Iterator[World]:
    """Assets A and B of SW, in francs, with sessions of these days, of which nothing is stored."""
    simulator.clock(data=DATA_MOMENT)
    with login(owner) as url:
        world = World(owner, url, simulator)
        world.add(Asset("A", "SW"), Asset("B", "SW"))
        world.rows("UPDATE assets SET currency = 'CHF' RETURNING id")
        add_sessions(owner, "SW", first, last)
        yield world
