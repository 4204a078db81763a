"""What the operator reads from and writes to real Postgres, as its own role: executions, facts,
closing, the fence.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from market import Asset, add_assets, add_sessions, set_quota
from operator_world import collection_run, indicator_run
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier, Literal

from screener_operator.facts import Counts, Facts, PlanRow
from screener_operator.outcome import Outcome
from screener_operator.reasons import Reason
from screener_operator.resources import CollectionRun
from screener_operator.store import FenceHeldElsewhere, RunningExecution, Store
from screener_sql.errors import DatabaseUnreachable
from screener_sql.model import WORKER_LOCK

pytestmark = pytest.mark.integration

Owner = Connection[TupleRow]
NOW = datetime(2026, 11, 24, 22, 15, tzinfo=UTC)
TODAY = NOW.date()
MONDAY = date(2026, 11, 23)
FRIDAY = date(2026, 11, 20)
SPEC = {
    "groups": [
        {"name": "spain", "exchanges": ["MC"]},
        {"name": "swiss", "exchanges": ["SW"]},
    ]
}
DONE = Outcome("success", Reason.COMPLETED)


@pytest.fixture
def operator_url(owner: Owner) -> Iterator[str]:
    """The connection string of a login that may what the operator may, and no more."""
    login, password = f"operator_{secrets.token_hex(6)}", f"s3cret{secrets.token_hex(16)}"
    owner.execute(
        SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE screener_operator").format(
            Identifier(login), Literal(password)
        )
    )
    at = owner.info
    yield make_conninfo(host=at.host, port=at.port, dbname=at.dbname, user=login, password=password)
    owner.execute(SQL("DROP ROLE {}").format(Identifier(login)))


@pytest.fixture
def make_store(operator_url: str) -> Iterator[Callable[[], Store]]:
    stores: list[Store] = []

    def make() -> Store:
        stores.append(Store(operator_url))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(make_store: Callable[[], Store]) -> Store:
    return make_store()


@pytest.fixture
def market(owner: Owner) -> Owner:
    """Two Spanish assets, one of them new; two Swiss ones, up to date; a day's quota."""
    for exchange in ("MC", "SW"):
        add_sessions(owner, exchange, date(2026, 9, 1), date(2026, 12, 1))
    set_quota(owner, TODAY, limit=1000, used=10)
    add_assets(
        owner,
        [
            Asset("SAN"),
            Asset("BBVA", checked_to=FRIDAY, fundamentals_next=date(2026, 12, 24)),
            Asset("NESN", "SW", checked_to=date(2026, 11, 24), fundamentals_next=date(2027, 1, 1)),
            Asset("NOVN", "SW", checked_to=date(2026, 11, 24), fundamentals_next=date(2027, 1, 1)),
        ],
    )
    return owner


def values(owner: Owner, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    return owner.execute(sql, parameters).fetchall()


def planned_run(store: Store, **spec: Any) -> CollectionRun:
    run = collection_run({**SPEC, **spec})
    store.open_execution(run, NOW)
    store.make_plan(run, NOW)
    return run


def end_items(owner: Owner, state: str, ticker: str, operation: str, calls: int = 1) -> None:
    """Closes an item as a collector would."""
    owner.execute(
        "UPDATE financial_screener.plan_items SET state = %s FROM financial_screener.assets"
        " WHERE assets.id = asset_id AND ticker = %s AND operation = %s",
        (state, ticker, operation),
    )
    owner.execute(
        "INSERT INTO financial_screener.asset_processing_details"
        " (execution_id, asset_id, ticker, operation, status, api_calls_used)"
        " SELECT execution_id, asset_id, ticker, operation, %s, %s"
        " FROM financial_screener.plan_items JOIN financial_screener.assets"
        " ON assets.id = asset_id WHERE ticker = %s AND operation = %s",
        ("success" if state == "succeeded" else state, calls, ticker, operation),
    )


def test_a_run_that_was_never_opened_has_no_facts(store: Store) -> None:
    assert store.facts("nobody", NOW) == Facts()


def test_opening_twice_opens_once(store: Store, owner: Owner) -> None:
    run = collection_run(
        {**SPEC, "quota": {"maxCalls": 1_000_000_000, "keepCalls": 5, "useExtra": True}}
    )
    store.open_execution(run, NOW)
    store.open_execution(run, NOW + timedelta(hours=1))
    [(process, namespace, name, parameters, started_at)] = values(
        owner,
        "SELECT process_name, namespace, run_name, parameters, started_at"
        " FROM financial_screener.process_executions",
    )
    assert (process, namespace, name) == (
        "data_collection_equities",
        "financial-screener",
        "daily",
    )
    assert parameters == {
        "name": "daily",
        "namespace": "financial-screener",
        "spec": dict(run.spec),
    }
    assert started_at == NOW
    assert values(
        owner,
        "SELECT max_calls, keep_calls, use_extra, calls_used"
        " FROM financial_screener.execution_budgets",
    ) == [(1_000_000_000, 5, True, 0)]
    facts = store.facts(run.meta.uid, NOW)
    assert [(each.kind, each.name) for each in facts.slices] == [("preflight", "preflight")]
    assert facts.execution is not None
    assert not facts.execution.closed


def test_an_indicator_run_has_neither_budget_nor_preflight(store: Store, owner: Owner) -> None:
    run = indicator_run()
    store.open_execution(run, NOW)
    assert values(owner, "SELECT process_name FROM financial_screener.process_executions") == [
        ("calculate_indicators",)
    ]
    assert values(owner, "SELECT * FROM financial_screener.execution_budgets") == []
    assert store.facts(run.meta.uid, NOW).slices == ()


def test_that_a_job_was_made_is_recorded_once(store: Store) -> None:
    run = collection_run(SPEC)
    store.open_execution(run, NOW)

    def started() -> datetime | None:
        [found] = store.facts(run.meta.uid, NOW).slices
        return found.started_at

    assert started() is None
    store.mark_started(run.meta.uid, "preflight", "preflight")
    first = started()
    assert first is not None
    store.mark_started(run.meta.uid, "preflight", "preflight")
    assert started() == first


def test_the_facts_of_a_plan(store: Store, market: Owner) -> None:
    run = planned_run(store)
    facts = store.facts(run.meta.uid, NOW)
    assert facts.execution is not None
    assert facts.execution.planned_at is not None
    spain, swiss = facts.of_kind("group")
    assert (spain.name, spain.items_planned, spain.items_open) == ("spain", 5, 5)
    assert (spain.requests_planned, spain.requests_open) == (5, 5)
    assert spain.counts == Counts(discovered=2, planned=2)
    first, since, last = date(2024, 11, 24), date(2024, 1, 1), date(2026, 11, 24)
    assert spain.plan == (
        PlanRow(
            "MC", "splits", "asset", first, last, 1, 1, 1, 0,
            "MC: prices of 2 assets alone (2 calls); splits and dividends of 1 asset alone"
            " (2 calls); fundamentals of 1 asset alone (10 calls); 14 calls in all",
        ),
        PlanRow("MC", "prices_incremental", "asset", since, last, 1, 1, 1, 0),
        PlanRow("MC", "prices_bulk", "asset", first, last, 1, 1, 1, 0),
        PlanRow("MC", "fundamentals_bulk", "asset", None, None, 1, 1, 10, 0),
        PlanRow("MC", "dividends", "asset", first, last, 1, 1, 1, 0),
    )  # fmt: skip
    assert (swiss.items_planned, swiss.items_open) == (0, 0)
    assert swiss.counts == Counts(discovered=2, skipped=2)
    assert swiss.plan == ()
    assert (facts.calls_planned, facts.calls_used, facts.calls_remaining_today) == (14, 0, 990)
    assert facts.counts == Counts(discovered=4, planned=2, skipped=2)


def test_a_plan_that_does_not_fit_says_what_it_leaves_out(store: Store, market: Owner) -> None:
    run = planned_run(store, quota={"maxCalls": 2, "keepCalls": 3})
    spain = store.facts(run.meta.uid, NOW).of_kind("group")[0]
    assert (spain.deferred_by_day, spain.deferred_by_run) == (0, 3)
    assert store.facts(run.meta.uid, NOW).keep_calls == 3
    assert [(row.operation, row.requests, row.deferred) for row in spain.plan] == [
        ("splits", 0, 1),
        ("prices_incremental", 1, 0),
        ("prices_bulk", 1, 0),
        ("fundamentals_bulk", 0, 1),
        ("dividends", 0, 1),
    ]


def test_a_dry_run_keeps_its_plan_in_sight(store: Store, market: Owner) -> None:
    run = planned_run(store, dryRun=True)
    facts = store.facts(run.meta.uid, NOW)
    spain = facts.of_kind("group")[0]
    assert spain.counts == Counts(discovered=2, skipped=2)
    assert (spain.items_planned, spain.items_open) == (0, 0)
    assert [(row.assets, row.requests, row.calls) for row in spain.plan] == [
        (1, 1, 1),
        (1, 1, 1),
        (1, 1, 1),
        (1, 1, 10),
        (1, 1, 1),
    ]
    assert facts.calls_planned == 14


def test_bulk_days_are_shown_with_their_sessions(store: Store, owner: Owner) -> None:
    add_sessions(owner, "MC", date(2026, 9, 1), date(2026, 12, 1))
    set_quota(owner, TODAY, limit=5000)
    add_assets(
        owner,
        [
            Asset(f"A{number}", checked_to=MONDAY, fundamentals_next=date(2027, 1, 1))
            for number in range(400)
        ],
    )
    run = planned_run(store)
    [row] = store.facts(run.meta.uid, NOW).of_kind("group")[0].plan
    assert row == PlanRow(
        "MC", "prices_incremental", "bulk", date(2026, 11, 24), date(2026, 11, 24), 400, 1, 100, 0,
        "MC: prices by 1 bulk day for 400 assets (100 calls) rather than 400; 100 calls in all",
    )  # fmt: skip


def test_an_asset_counts_once_by_the_first_that_applies(store: Store, market: Owner) -> None:
    run = planned_run(store)
    end_items(market, "succeeded", "SAN.MC", "prices_bulk")
    end_items(market, "succeeded", "SAN.MC", "splits", calls=0)
    end_items(market, "succeeded", "SAN.MC", "dividends", calls=0)
    half = store.facts(run.meta.uid, NOW).of_kind("group")[0]
    assert half.counts == Counts(discovered=2, planned=2), "an open item keeps its asset open"
    assert (half.items_open, half.items_succeeded) == (2, 3)
    end_items(market, "deferred", "SAN.MC", "fundamentals_bulk", calls=0)
    end_items(market, "failed", "BBVA.MC", "prices_incremental")
    facts = store.facts(run.meta.uid, NOW)
    assert facts.of_kind("group")[0].counts == Counts(2, 2, 0, 1, 0, 1)
    assert facts.calls_used == 2


def test_open_items_fail_with_detail_rows_and_late_workers_are_refused(
    store: Store, market: Owner
) -> None:
    run = planned_run(store)
    end_items(market, "succeeded", "SAN.MC", "prices_bulk")
    for _ in range(2):
        store.fail_open_items(run.meta.uid, {"spain": "its group ended before it was done"})
    assert values(
        market,
        "SELECT ticker, operation, status, error_code, error_message"
        " FROM financial_screener.asset_processing_details"
        " WHERE status = 'failed' AND operation NOT IN ('splits', 'dividends') ORDER BY ticker",
    ) == [
        (
            "BBVA.MC",
            "prices_incremental",
            "failed",
            "group_not_finished",
            "its group ended before it was done",
        ),
        (
            "SAN.MC",
            "fundamentals_bulk",
            "failed",
            "group_not_finished",
            "its group ended before it was done",
        ),
    ]
    assert values(market, "SELECT DISTINCT state FROM financial_screener.plan_fetches") == [
        ("failed",)
    ]
    assert values(
        market,
        "SELECT last_error_code, consecutive_failures"
        " FROM financial_screener.asset_processing_state WHERE ticker = 'BBVA.MC'",
    ) == [("group_not_finished", 0)]


def test_closing_counts_what_the_rows_tell_and_closes_once(store: Store, market: Owner) -> None:
    run = planned_run(store)
    end_items(market, "succeeded", "SAN.MC", "prices_bulk", calls=1)
    end_items(market, "succeeded", "SAN.MC", "splits", calls=0)
    end_items(market, "succeeded", "SAN.MC", "dividends", calls=0)
    end_items(market, "succeeded", "SAN.MC", "fundamentals_bulk", calls=10)
    end_items(market, "failed", "BBVA.MC", "prices_incremental", calls=1)
    market.execute(
        "INSERT INTO financial_screener.asset_processing_details"
        " (execution_id, operation, status, api_calls_used)"
        " VALUES (%s, 'preflight_user', 'success', 1)",
        (run.meta.uid,),
    )
    outcome = Outcome("partial", Reason.PARTIALLY_FAILED)
    store.close_execution(run.meta.uid, outcome, "one failed")
    store.close_execution(run.meta.uid, DONE, "never mind")
    assert values(
        market,
        "SELECT status, assets_discovered, assets_processed, assets_succeeded, assets_failed,"
        " assets_skipped, assets_deferred, api_calls_used, error_message"
        " FROM financial_screener.process_executions",
    ) == [("partial", 4, 2, 1, 1, 2, 0, 13, "one failed")]
    facts = store.facts(run.meta.uid, NOW)
    assert facts.execution is not None
    assert (facts.execution.reason, facts.execution.message) == ("PartiallyFailed", "one failed")
    assert facts.execution.completed_at is not None
    assert facts.counts == Counts(4, 2, 1, 1, 2, 0)
    assert facts.calls_used == 13


def test_calls_that_dead_workers_took_with_them_are_told_when_the_run_is_closed(
    store: Store, market: Owner
) -> None:
    run = planned_run(store)
    end_items(market, "succeeded", "SAN.MC", "prices_bulk", calls=1)
    market.execute(
        "UPDATE financial_screener.execution_budgets SET calls_used = 41 WHERE execution_id = %s",
        (run.meta.uid,),
    )
    for _ in range(2):
        store.close_execution(run.meta.uid, DONE, "ended")
    assert store.facts(run.meta.uid, NOW).calls_used == 41
    assert values(market, "SELECT api_calls_used FROM financial_screener.process_executions") == [
        (41,)
    ]
    assert values(
        market,
        "SELECT api_calls_used, ticker FROM financial_screener.asset_processing_details"
        " WHERE operation = 'lost_calls'",
    ) == [(40, None)]


def test_counts_agree_between_status_execution_and_details(store: Store, market: Owner) -> None:
    run = planned_run(store)
    end_items(market, "succeeded", "SAN.MC", "prices_bulk")
    store.close_execution(run.meta.uid, DONE, "ended")
    counts = store.facts(run.meta.uid, NOW).counts
    [in_execution] = values(
        market,
        "SELECT assets_succeeded, assets_failed, assets_skipped, assets_deferred"
        " FROM financial_screener.process_executions",
    )
    in_details = values(
        market,
        "SELECT count(*) FILTER (WHERE failed), count(*) FILTER (WHERE NOT failed AND deferred),"
        " count(*) FILTER (WHERE NOT failed AND NOT deferred AND succeeded), count(*)"
        " FROM (SELECT bool_or(status = 'failed') AS failed,"
        " bool_or(status = 'deferred') AS deferred, bool_or(status = 'success') AS succeeded"
        " FROM financial_screener.asset_processing_details WHERE asset_id IS NOT NULL"
        " GROUP BY asset_id) AS asset",
    )
    assert in_execution == (counts.succeeded, counts.failed, counts.skipped, counts.deferred)
    assert in_details == [(counts.failed, counts.deferred, counts.succeeded, counts.discovered)]


def test_a_success_leaves_no_error_message(store: Store, owner: Owner) -> None:
    run = collection_run(SPEC)
    store.open_execution(run, NOW)
    store.close_execution(run.meta.uid, DONE, "all is well")
    assert values(
        owner, "SELECT error_message, error_details FROM financial_screener.process_executions"
    ) == [(None, {"reason": "Completed", "message": "all is well"})]


def test_deleted_runs_are_found_and_closed(store: Store, market: Owner) -> None:
    run = planned_run(store)
    assert store.running_executions("financial-screener") == [
        RunningExecution(run.meta.uid, "daily")
    ]
    assert store.running_executions("elsewhere") == []
    store.close_deleted(run.meta.uid)
    assert store.running_executions("financial-screener") == []
    assert values(
        market,
        "SELECT status, error_message, assets_failed FROM financial_screener.process_executions",
    ) == [("failed", "run deleted", 2)]


def test_unknown_exchanges_are_named(store: Store) -> None:
    assert store.facts("x", NOW, exchanges=("MC", "ZZ", "XX")).unknown_exchanges == ("XX", "ZZ")


def test_planning_indicators(store: Store, market: Owner) -> None:
    run = indicator_run({"exchanges": ["SW"]})
    store.open_execution(run, NOW)
    store.make_plan(run, NOW)
    facts = store.facts(run.meta.uid, NOW, exchanges=("SW",))
    [found] = facts.slices
    assert (found.kind, found.name, found.items_planned) == ("indicators", "indicators", 2)
    assert [(row.exchange, row.operation, row.way, row.assets) for row in found.plan] == [
        ("SW", "indicators_calc", None, 2)
    ]


def test_workers_that_may_still_store_something_are_counted(store: Store, owner: Owner) -> None:
    run = collection_run(SPEC)
    store.open_execution(run, NOW)
    [(worker,)] = values(
        owner,
        "INSERT INTO financial_screener.workers (execution_id, slice, pod)"
        " VALUES (%s, 'spain', 'p') RETURNING id",
        run.meta.uid,
    )

    def alive() -> tuple[int, int]:
        return store.workers_alive(run.meta.uid), store.facts(run.meta.uid, NOW).workers_alive

    assert alive() == (0, 0)
    owner.execute("SELECT pg_advisory_lock(%s, %s)", (WORKER_LOCK, worker))
    assert alive() == (1, 1)
    owner.execute("SELECT pg_advisory_unlock(%s, %s)", (WORKER_LOCK, worker))
    assert alive() == (0, 0)


def test_symbols_that_no_asset_has_are_named(store: Store, market: Owner) -> None:
    run = indicator_run({"exchanges": ["SW"], "symbols": ["NESN", "ZZ", "SAN"]})
    store.open_execution(run, NOW)
    store.make_plan(run, NOW)
    facts = store.facts(run.meta.uid, NOW)
    assert facts.notes == ("spec.symbols: no asset is known here by SAN, ZZ.",)
    assert facts.items_planned == 1


# The fence


def test_only_one_operator_may_act(make_store: Callable[[], Store], owner: Owner) -> None:
    first, second = make_store(), make_store()
    first.hold_fence()
    with pytest.raises(FenceHeldElsewhere):
        second.hold_fence()
    with pytest.raises(FenceHeldElsewhere):
        second.open_execution(collection_run(SPEC), NOW)
    assert values(owner, "SELECT * FROM financial_screener.process_executions") == []
    first.close()
    take_over(second)


def take_over(store: Store) -> None:
    """A session that is being ended holds its lock for a moment yet."""
    for _ in range(200):
        try:
            store.hold_fence()
        except FenceHeldElsewhere:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the fence was never free")


def test_a_lost_connection_is_a_lost_lock(
    make_store: Callable[[], Store], operator_url: str
) -> None:
    first, second = make_store(), make_store()
    first.hold_fence()
    with psycopg.connect(operator_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks"
            " WHERE locktype = 'advisory' AND classid = 730002"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    take_over(second)
    with pytest.raises(FenceHeldElsewhere):
        first.open_execution(collection_run(SPEC), NOW)
    second.close()
    take_over(first)


def test_a_lock_that_was_taken_away_is_noticed(store: Store, operator_url: str) -> None:
    run = collection_run(SPEC)
    store.open_execution(run, NOW)
    assert store._connection is not None
    store._connection.execute("SELECT pg_advisory_unlock_all()")
    with psycopg.connect(operator_url, autocommit=True) as other:
        assert other.execute("SELECT pg_try_advisory_lock(730002, 0)").fetchone() == (True,)
        with pytest.raises(FenceHeldElsewhere):
            store.mark_started(run.meta.uid, "preflight", "preflight")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"port": 1}, id="nobody listens"),
        pytest.param({"password": "wr0ng-s3cret"}, id="the password is refused"),
    ],
)
def test_an_unreachable_database_is_said_without_secrets(
    operator_url: str, change: dict[str, Any]
) -> None:
    store = Store(make_conninfo(operator_url, **change))
    with pytest.raises(DatabaseUnreachable) as refused:
        store.facts("x", NOW)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None
    # Asked again at once it answers at once, for other runs wait as well.
    with pytest.raises(DatabaseUnreachable):
        store.hold_fence()


def test_a_run_keeps_its_plan_if_it_is_made_again(store: Store, market: Owner) -> None:
    run = planned_run(store)
    before = store.facts(run.meta.uid, NOW)
    store.make_plan(replace(run, operations=("fundamentals",)), NOW + timedelta(hours=1))
    assert store.facts(run.meta.uid, NOW) == before
