"""The analyzer killed at each of its steps and started again leaves what it leaves undisturbed: the
same values in every column of every table that it writes, but for times and who did it."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from analyzer_world import (
    Owner,
    add_assets_with_bars,
    add_bars,
    analyze,
    carry_out,
    environment,
    nobody_writes,
    plan,
    plan_and_carry_out,
    start,
    until,
    value,
    wait,
    walk,
)
from market import Asset, add_assets
from system_fixture import Database, PostgresServer

from screener_analyzer.block_store import LATER_BARS
from screener_analyzer.registry import LONGEST_HISTORY

pytestmark = pytest.mark.integration

LONG = LONGEST_HISTORY + 60
BLOCK_IS_DUE = 2 * LATER_BARS
FIRST = {"A1": LONG, "A2": 120, "A3": LONG, "A4": LONG, "A5": LONG}
"""Bars of the assets that a run has been over before: with a block and a state but for one."""
LATER = {"A1": 3, "A2": 3, "A3": 3, "A4": BLOCK_IS_DUE, "A5": BLOCK_IS_DUE}
"""Bars that have come since, of all of them."""
WITHOUT_STATE = "A3"
NEW = "A6"
"""Of an asset that came since."""
ASSETS = 6

CHUNK = {"usual": 2, "history": 1}
"""Three chunks; of a history two, of three parts each."""

NOT_COMPARED: dict[str, set[str]] = {
    "technical_indicators": set(),
    "screener_rows": set(),
    "screener_more": set(),
    "indicator_states": set(),
    "bar_blocks": set(),
    "plan_items": {"worker_id"},
    "asset_processing_details": {"id", "duration_ms"},
    "asset_processing_state": set(),
    "slices": {"deviation", "message"},  # they are of rows chosen at random
}
"""By table that the analyzer writes the columns that may differ, besides times (`…_at`)."""

Left = dict[str, list[dict[str, object]]]


@pytest.fixture(scope="module")
def prepared(postgres_server: PostgresServer) -> Iterator[Database]:
    """Before the runs `usual` and `history`: assets of all kinds are due, and rows are there."""
    with postgres_server.migrated_database() as database:
        with psycopg.connect(database.owner_url, autocommit=True) as owner:
            add_assets_with_bars(owner, FIRST)
            plan_and_carry_out(owner, database.urls["analyzer"], "first")
            for seed, (code, length) in enumerate(FIRST.items()):
                add_bars(owner, f"{code}.MC", walk(seed, length + LATER[code])[length:])
            add_assets(owner, [Asset(NEW)])
            add_bars(owner, f"{NEW}.MC", walk(9, 260))
            owner.execute(
                "DELETE FROM financial_screener.indicator_states AS state"
                " USING financial_screener.assets AS asset"
                " WHERE asset.id = asset_id AND code = %s",
                (WITHOUT_STATE,),
            )
            plan(owner, "usual")
            since = str(walk(0, LONG - 5)[-1].date)
            plan(owner, "history", mode="all", spec={"history": {"from": since}})
        yield database


@contextmanager
def copy_of(server: PostgresServer, prepared: Database) -> Iterator[tuple[Owner, str]]:
    with (
        server.migrated_database(prepared.name) as database,
        psycopg.connect(database.owner_url, autocommit=True) as owner,
    ):
        yield owner, database.urls["analyzer"]


@pytest.fixture
def copied(postgres_server: PostgresServer, prepared: Database) -> Iterator[tuple[Owner, str]]:
    """A copy of what is prepared, for one test, and the analyzer's address of it."""
    with copy_of(postgres_server, prepared) as copy:
        yield copy


def left(owner: Owner) -> Left:
    """By table its rows, in any order that is always the same."""
    found = {}
    for table, not_compared in NOT_COMPARED.items():
        rows = owner.execute(
            f"SELECT to_jsonb(stored) FROM financial_screener.{table} AS stored"  # noqa: S608
        ).fetchall()
        kept = [
            {
                name: held
                for name, held in row.items()
                if name not in not_compared and not name.endswith("_at")
            }
            for (row,) in rows
        ]
        found[table] = sorted(kept, key=str)
    return found


@pytest.fixture(scope="module")
def undisturbed(postgres_server: PostgresServer, prepared: Database) -> dict[str, Left]:
    """By run, what it leaves when nothing happens to it."""
    found = {}
    for run, chunk in CHUNK.items():
        with copy_of(postgres_server, prepared) as (owner, url):
            carry_out(url, run, chunk=chunk)
            found[run] = left(owner)
    return found


def test_the_runs_that_are_killed_come_past_every_table(
    postgres_server: PostgresServer, prepared: Database, undisturbed: dict[str, Left]
) -> None:
    with copy_of(postgres_server, prepared) as (owner, _):
        before = left(owner)
    for table in NOT_COMPARED:
        assert undisturbed["usual"][table] != before[table], table
    of_states = {"indicator_states", "bar_blocks"}
    for table in NOT_COMPARED:
        same = undisturbed["history"][table] == before[table]
        assert same == (table in of_states), table
    for run in CHUNK:
        ended = [item for item in undisturbed[run]["plan_items"] if item["execution_id"] == run]
        assert [item["state"] for item in ended] == ["succeeded"] * ASSETS
    assert len(undisturbed["history"]["technical_indicators"]) > 100


# --- where it is held -------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """Held where it writes a row of a table. `{asset}`: the id of asset `code`."""

    table: str
    event: str
    when: str
    code: str = "A4"
    at_commit: bool = False

    def held(self, owner: Owner) -> AbstractContextManager[None]:
        asset = value(owner, "SELECT id FROM financial_screener.assets WHERE code = %s", self.code)
        return nobody_writes(
            owner, self.table, self.event, self.when.format(asset=asset), at_commit=self.at_commit
        )


@dataclass(frozen=True)
class Read:
    """Held where it reads a table."""

    table: str

    @contextmanager
    def held(self, owner: Owner) -> Iterator[None]:
        with owner.transaction():
            owner.execute(f"LOCK TABLE financial_screener.{self.table}")
            yield


ASSET = "NEW.asset_id = {asset}"
ROWS, DETAILS = (
    ("technical_indicators", "INSERT", ASSET),
    ("asset_processing_details", "INSERT", ASSET),
)
FINISHED = Written("slices", "UPDATE", "NEW.finished_at IS NOT NULL")

STEPS: dict[str, tuple[str, Written | Read, int]] = {
    "registering": ("usual", Written("workers", "INSERT", "true"), 0),
    "starting the slice": ("usual", Written("slices", "UPDATE", "true"), 0),
    "claiming ahead": (
        "usual",
        Written("plan_items", "UPDATE", f"{ASSET} AND NEW.state = 'planned'"),
        2,
    ),
    "reading blocks": ("usual", Read("bar_blocks"), 0),
    "reading bars": ("usual", Read("stock_prices"), 0),
    "beginning a state": ("usual", Written("indicator_states", "INSERT", ASSET, NEW), 4),
    "storing rows": ("usual", Written(*ROWS), 2),
    "telling screens": ("usual", Written("screener_rows", "INSERT OR UPDATE", ASSET), 2),
    "ending items": (
        "usual",
        Written("plan_items", "UPDATE", f"{ASSET} AND NEW.state <> 'planned'"),
        2,
    ),
    "storing details": ("usual", Written(*DETAILS), 2),
    "marking assets": ("usual", Written("asset_processing_state", "UPDATE", ASSET), 2),
    "keeping states": ("usual", Written("indicator_states", "UPDATE", ASSET), 2),
    "keeping blocks": ("usual", Written("bar_blocks", "INSERT", ASSET), 2),
    "noting what was verified": ("usual", Written("slices", "UPDATE", "NEW.verified_rows > 2"), 2),
    "committing": ("usual", Written(*DETAILS, at_commit=True), 2),
    "finishing the slice": ("usual", FINISHED, ASSETS),
    "reading a history": ("history", Read("stock_prices"), 0),
    "storing a second part": ("history", Written(*ROWS, "A2"), 0),
    "storing a part of the next chunk": ("history", Written(*ROWS), 2),
    "committing a part": ("history", Written(*DETAILS, "A2", at_commit=True), 0),
    "finishing a history": ("history", FINISHED, ASSETS),
}
"""The run, where it is held, and how many items have ended then at least: of a history another part
may be stored meanwhile."""


def is_held(owner: Owner, run: str, ended: int) -> bool:
    return value(
        owner,
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype <> 'transactionid'"
        "  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())),"
        " (SELECT count(*) >= %s FROM financial_screener.plan_items"
        "  WHERE execution_id = %s AND state <> 'planned')",
        ended,
        run,
    ) == (True, True)


# --- killed, doubled --------------------------------------------------------------------------


@pytest.mark.parametrize(("run", "step", "ended"), STEPS.values(), ids=STEPS)
def test_killed_at_any_step_and_started_again_it_leaves_the_same(
    copied: tuple[Owner, str],
    undisturbed: dict[str, Left],
    run: str,
    step: Written | Read,
    ended: int,
) -> None:
    owner, url = copied
    with step.held(owner):
        process = start(environment(url, run, CHUNK=str(CHUNK[run])))
        until(lambda: is_held(owner, run, ended) or process.poll() is not None)
        process.kill()
        assert wait(process).code == -signal.SIGKILL
    carry_out(url, run, chunk=CHUNK[run])
    assert left(owner) == undisturbed[run]


@pytest.mark.parametrize("run", CHUNK)
def test_killed_beside_another_that_takes_over_it_leaves_the_same(
    copied: tuple[Owner, str],
    undisturbed: dict[str, Left],
    run: str,
) -> None:
    owner, url = copied
    with Written(*ROWS, "A3").held(owner):
        first = start(environment(url, run, CHUNK=str(CHUNK[run])))
        until(lambda: is_held(owner, run, 1) or first.poll() is not None)
        second = start(environment(url, run, CHUNK=str(CHUNK[run])))
        until(lambda: value(owner, "SELECT count(*) FROM financial_screener.workers") == 3)
        first.kill()
        assert wait(first).code == -signal.SIGKILL
    ended = wait(second)
    assert ended.code == 0, ended.log
    assert left(owner) == undisturbed[run]


@pytest.mark.parametrize("run", CHUNK)
def test_two_at_once_leave_the_same_as_one(
    copied: tuple[Owner, str],
    undisturbed: dict[str, Left],
    run: str,
) -> None:
    owner, url = copied
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: analyze(url, run, CHUNK="1").code, range(2)))
    assert both == [0, 0]
    assert left(owner) == undisturbed[run]
