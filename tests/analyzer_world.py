"""The analyzer's world: assets with bars, its plan, its process, and what it leaves."""

import json
import math
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from engine_bars import Bar
from market import Asset, add_assets, open_execution
from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from psycopg.sql import SQL, Identifier, Literal

from screener_analyzer import judge
from screener_analyzer.registry import COLUMNS
from screener_analyzer.run import run as run_to_its_end
from screener_analyzer.store import Store
from screener_analyzer.verification import verified
from screener_analyzer.worker import registered
from screener_operator.planning import plan_indicators
from screener_sql.model import ExitCode

Owner = Connection[TupleRow]

FIRST_DAY = date(2022, 1, 3)


@pytest.fixture
def analyzer_url(owner: Owner) -> Iterator[str]:
    """The connection string of a login that may what the analyzer may, and no more."""
    login, password = f"analyzer_{secrets.token_hex(6)}", secrets.token_hex(16)
    owner.execute(
        SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE screener_analyzer").format(
            Identifier(login), Literal(password)
        )
    )
    at = owner.info
    yield f"postgresql://{login}:{password}@{at.host}:{at.port}/{at.dbname}"
    owner.execute(SQL("DROP ROLE {}").format(Identifier(login)))


# --- what is there before a run ---------------------------------------------------------------


def walk(seed: int, length: int) -> list[Bar]:
    random = np.random.default_rng(seed)
    close = np.round(50 * np.exp(np.cumsum(random.normal(0, 0.02, length))), 2)
    factor = np.where(np.arange(length) < length // 2, 0.5, 1.0)
    return [
        Bar(
            FIRST_DAY + timedelta(days=day),
            float(close[day]),
            round(float(close[day]) * 1.01, 2),
            round(float(close[day]) * 0.99, 2),
            float(close[day]),
            float(close[day] * factor[day]),
            1_000 + day,
        )
        for day in range(length)
    ]


def add_bars(owner: Owner, ticker: str, bars: Sequence[Bar]) -> None:
    """Stores them as the collector does: the state knows of the change."""
    with owner.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO financial_screener.stock_prices"
            " (asset_id, date, open, high, low, close, adj_close, volume)"
            " SELECT id, %s, %s, %s, %s, %s, %s, %s FROM financial_screener.assets"
            " WHERE ticker = %s",
            [(*bar, ticker) for bar in bars],
        )
    owner.execute(
        "UPDATE financial_screener.asset_processing_state"
        " SET prices_loaded = true, prices_changed_at = clock_timestamp() WHERE ticker = %s",
        (ticker,),
    )


def add_assets_with_bars(owner: Owner, lengths: dict[str, int]) -> None:
    """One asset of exchange MC for each code, with a walk of its own of that many bars."""
    add_assets(owner, [Asset(code) for code in lengths])
    for seed, (code, length) in enumerate(lengths.items()):
        add_bars(owner, f"{code}.MC", walk(seed, length))


def plan(
    owner: Owner,
    execution_id: str,
    *,
    mode: str = "changed",
    spec: dict[str, object] | None = None,
    **scope: object,
) -> None:
    open_execution(owner, execution_id, spec=spec)
    symbols = scope.get("symbols")
    as_of = scope.get("as_of")
    exchanges = scope.get("exchanges", ("MC",))
    assert isinstance(exchanges, tuple)
    assert symbols is None or isinstance(symbols, tuple)
    assert as_of is None or isinstance(as_of, date)
    plan_indicators(
        owner, execution_id, exchanges=exchanges, symbols=symbols, mode=mode, as_of=as_of,
        now=datetime.now(UTC), extra=(spec or {}).get("extra", ()),  # type: ignore[arg-type]
    )  # fmt: skip


# --- the program ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    code: int
    log: str

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.splitlines()]


def environment(url: str, execution_id: str, **more: str) -> dict[str, str]:
    return {"DATABASE_URL": url, "EXECUTION_ID": execution_id, "POD_NAME": "pod-1"} | more


def start(variables: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "screener_analyzer", *arguments],
        env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait(process: subprocess.Popen[str]) -> Ended:
    log, _ = process.communicate(timeout=180)
    return Ended(process.returncode, log)


def analyze(url: str, execution_id: str, **more: str) -> Ended:
    return wait(start(environment(url, execution_id, **more)))


def until(holds: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def carry_out(
    url: str,
    execution_id: str,
    pause: Callable[[float], None] = lambda seconds: None,
    *,
    chunk: int = 100,
) -> None:
    """A run as the program makes it, in this process; raises where it does not end well."""
    with (
        registered(url, execution_id=execution_id, pod="here") as worker,
        Store.open(url, execution_id) as store,
    ):
        ended = run_to_its_end(
            store,
            worker,
            pause,
            chunk=chunk,
            another=lambda: Store.open(url, execution_id),
            verify=verified,
        )
        assert ended is ExitCode.DONE


def plan_and_carry_out(owner: Owner, url: str, execution_id: str, **wanted: object) -> None:
    plan(owner, execution_id, **wanted)  # type: ignore[arg-type]
    carry_out(url, execution_id)


# --- what is there afterwards -----------------------------------------------------------------


def value(owner: Owner, sql: str, *parameters: object) -> object:
    row = owner.execute(sql, parameters).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def items(owner: Owner, execution_id: str) -> dict[str, tuple[object, ...]]:
    """Ticker: (state, error_code)."""
    return {
        ticker: tuple(rest)
        for ticker, *rest in owner.execute(
            "SELECT ticker, state, error_code FROM financial_screener.plan_items"
            " JOIN financial_screener.assets AS asset ON asset.id = asset_id"
            " WHERE execution_id = %s",
            (execution_id,),
        )
    }


def details(owner: Owner, execution_id: str) -> dict[str, tuple[object, ...]]:
    """Ticker: (status, error_code, records_inserted, records_updated); each ticker once."""
    rows = owner.execute(
        "SELECT ticker, status, error_code, records_inserted, records_updated"
        " FROM financial_screener.asset_processing_details"
        " WHERE execution_id = %s AND operation = 'indicators_calc'",
        (execution_id,),
    ).fetchall()
    found = {ticker: tuple(rest) for ticker, *rest in rows}
    assert len(found) == len(rows), "an item has one row of details"
    return found


def rows_of(owner: Owner, ticker: str) -> list[dict[str, object]]:
    """The asset's rows of technical_indicators, oldest first."""
    with owner.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT stored.* FROM financial_screener.technical_indicators AS stored"
            " JOIN financial_screener.assets AS asset ON asset.id = asset_id"
            " WHERE ticker = %s ORDER BY calculation_date",
            (ticker,),
        ).fetchall()


def everything(owner: Owner) -> list[tuple[object, ...]]:
    """All that a run leaves, without its times."""
    columns = ", ".join(f"stored.{column}" for column in COLUMNS)
    return owner.execute(
        f"SELECT asset_id, calculation_date, bars_used, {columns}"  # noqa: S608
        " FROM financial_screener.technical_indicators AS stored ORDER BY 1, 2"
    ).fetchall()


def state_of(owner: Owner, ticker: str) -> dict[str, object]:
    with owner.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "SELECT * FROM financial_screener.asset_processing_state WHERE ticker = %s", (ticker,)
        ).fetchone()
    assert found is not None
    return found


def farthest(row: dict[str, object], bars: Sequence[Bar], later_splits: float = 1) -> float:
    """How far the row is from what the judge gives for these bars, relative."""
    history = judge.History.of(
        np.array([bar[1:] for bar in bars], dtype=np.float64),
        np.full(len(bars), 1 / later_splits),
        np.array([(bar.date - date(2000, 1, 1)).days for bar in bars], dtype=np.int32),
        minor_units=math.nan,
    )
    values = {column: row[column] for column in judge.COLUMNS}
    found = judge.deviations(values, judge.judged(history), history)  # type: ignore[arg-type]
    return max(found.values())


def slice_of(owner: Owner, execution_id: str) -> tuple[object, ...]:
    """(started, finished, verified, message)"""
    found = owner.execute(
        "SELECT started_at IS NOT NULL, finished_at IS NOT NULL, verified, message"
        " FROM financial_screener.slices WHERE execution_id = %s AND kind = 'indicators'",
        (execution_id,),
    ).fetchone()
    assert found is not None
    return found


def add_split(owner: Owner, ticker: str, day: date, new: int, old: int) -> None:
    owner.execute(
        "INSERT INTO financial_screener.corporate_actions"
        " (asset_id, ex_date, kind, split_new, split_old, payload, execution_id)"
        " SELECT id, %s, 'split', %s, %s, '{}', 'x' FROM financial_screener.assets"
        " WHERE ticker = %s",
        (day, new, old, ticker),
    )


@contextmanager
def nobody_writes(
    owner: Owner, table: str, event: str, when: str, *, at_commit: bool = False
) -> Iterator[None]:
    """Whoever writes a row of which `when` holds waits meanwhile, before it is written or when it
    is committed. `event`: as of a trigger, INSERT or UPDATE or both."""
    owner.execute(
        "CREATE FUNCTION financial_screener.wait_for_test() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$"
    )
    kind, timing, deferred = "", "BEFORE", ""
    if at_commit:
        kind, timing, deferred = "CONSTRAINT ", "AFTER", "DEFERRABLE INITIALLY DEFERRED"
    owner.execute(
        f"CREATE {kind}TRIGGER wait_for_test {timing} {event} ON financial_screener.{table}"
        f" {deferred} FOR EACH ROW WHEN ({when})"
        " EXECUTE FUNCTION financial_screener.wait_for_test()"
    )
    owner.execute("SELECT pg_advisory_lock(1)")
    try:
        yield
    finally:
        owner.execute("SELECT pg_advisory_unlock(1)")
        owner.execute("DROP FUNCTION financial_screener.wait_for_test CASCADE")


@contextmanager
def nobody_stores(owner: Owner, which: str) -> Iterator[None]:
    """Whoever stores the row of an asset, `min` or `max` of the ids, waits meanwhile."""
    asset_id = value(owner, f"SELECT {which}(id) FROM financial_screener.assets")  # noqa: S608
    with nobody_writes(owner, "technical_indicators", "INSERT", f"NEW.asset_id = {asset_id}"):
        yield
