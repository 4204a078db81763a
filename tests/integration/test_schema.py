"""The schema on real Postgres: migrations, partitions, the seed's queries, rights."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import psycopg
import psycopg.sql
import pytest
from market import Asset, add_assets, add_sessions, set_quota
from psycopg import Connection
from psycopg.rows import TupleRow

from screener_sql.errors import DatabaseUnreachable, NewerDatabase
from screener_sql.migrate import known_migrations, main, migrate
from screener_sql.model import ExitCode

pytestmark = pytest.mark.integration

Owner = Connection[TupleRow]


def test_migrating_again_applies_nothing(empty_database: str) -> None:
    assert migrate(empty_database) == [
        f"{migration.version:04d}_{migration.name}" for migration in known_migrations()[1:]
    ]
    assert migrate(empty_database) == []


def test_the_program_says_what_it_did(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database)
    assert main() == ExitCode.DONE
    assert "applied 0001_roles\n" in capsys.readouterr().out
    assert main() == ExitCode.DONE
    assert capsys.readouterr().out == "the schema was current already\n"


@pytest.mark.parametrize(
    ("dsn", "code", "said"),
    [
        pytest.param("", ExitCode.BAD_SETTING, "DATABASE_URL is not set", id="not set"),
        pytest.param("hunter2 here", ExitCode.BAD_SETTING, "no connection string|not a", id="bad"),
        pytest.param(
            "host=127.0.0.1 port=1 password=hunter2",
            ExitCode.UNEXPECTED,
            "Postgres cannot be reached",
            id="unreachable",
        ),
    ],
)
def test_the_program_says_why_it_could_not(
    dsn: str,
    code: ExitCode,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", dsn)
    assert main() == code
    printed = capsys.readouterr().err
    assert re.search(said, printed)
    assert "hunter2" not in printed


def test_two_migrators_at_once_apply_each_migration_once(empty_database: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        applied = list(pool.map(lambda _: migrate(empty_database), range(3)))
    assert sorted(map(len, applied)) == [0, 0, len(known_migrations()) - 1]


def test_a_newer_database_is_refused_and_left_as_it_is(empty_database: str) -> None:
    migrate(empty_database)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO financial_screener.schema_migrations VALUES (9999, 'later')"
        )
    with pytest.raises(NewerDatabase, match="9999"):
        migrate(empty_database)


def test_a_migration_that_fails_leaves_no_trace(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA financial_screener CREATE TABLE assets (mine text)")
    with pytest.raises(psycopg.errors.DuplicateTable):
        migrate(empty_database)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        assert connection.execute(
            "SELECT max(version), to_regclass('financial_screener.exchanges')"
            " FROM financial_screener.schema_migrations"
        ).fetchone() == (1, None)


def test_an_unreachable_database_is_said_without_its_address() -> None:
    with pytest.raises(DatabaseUnreachable) as caught:
        migrate("host=127.0.0.1 port=1 user=somebody password=hunter2 dbname=nowhere")
    assert "hunter2" not in str(caught.value)
    assert "somebody" not in str(caught.value)


SEED_QUERIES = [
    "SELECT * FROM get_processing_progress()",
    "SELECT * FROM v_today_processing_activity",
    "SELECT * FROM v_recent_executions LIMIT 10",
    "SELECT ticker, consecutive_failures, last_error_message FROM asset_processing_state"
    " WHERE consecutive_failures >= 3 ORDER BY consecutive_failures DESC",
    "SELECT SUM(api_calls_used) as total_calls FROM asset_processing_details"
    " WHERE DATE(created_at) = CURRENT_DATE",
    "SELECT operation, COUNT(*) as operations, SUM(api_calls_used) as total_api_calls"
    " FROM asset_processing_details WHERE DATE(created_at) = CURRENT_DATE GROUP BY operation",
]


@pytest.mark.parametrize("statement", SEED_QUERIES)
def test_the_seeds_monitoring_queries_run_unchanged(owner: Owner, statement: str) -> None:
    owner.execute("SET search_path TO financial_screener")
    owner.execute(statement)


def test_both_usage_queries_give_the_same_total(owner: Owner) -> None:
    owner.execute("SET search_path TO financial_screener")
    owner.execute(
        "INSERT INTO asset_processing_details"
        " (execution_id, ticker, operation, status, api_calls_used)"
        " VALUES ('r', NULL, 'preflight_user', 'success', 1),"
        " ('r', 'SAN.MC', 'prices_bulk', 'success', 1),"
        " ('r', 'SAN.MC', 'fundamentals_bulk', 'failed', 10)"
    )
    total = owner.execute(SEED_QUERIES[4]).fetchone()
    by_operation = owner.execute(SEED_QUERIES[5]).fetchall()
    assert total == (12,) == (sum(row[2] for row in by_operation),)


def test_the_quota_day_is_the_current_date(empty_database: str) -> None:
    migrate(empty_database)
    with psycopg.connect(empty_database, options="") as connection:
        assert connection.execute(
            "SELECT current_setting('timezone'), current_setting('search_path')"
        ).fetchone() == ("UTC", "financial_screener, public")


def test_progress_counts_by_what_each_exchange_published(owner: Owner) -> None:
    add_sessions(owner, "MC", date(2026, 1, 1), date(2026, 1, 30))
    now = datetime(2026, 2, 1, tzinfo=UTC)
    add_assets(
        owner,
        [
            Asset("A", checked_to=date(2026, 1, 30), changed_at=now, indicators_at=now),
            Asset("B", checked_to=date(2026, 1, 29), fundamentals_next=date(2027, 1, 1)),
            Asset("C"),
            Asset("D", checked_to=date(2026, 1, 30), reprocess=True),
        ],
    )
    owner.execute(
        "UPDATE financial_screener.asset_processing_state SET prices_failures = 3"
        " WHERE ticker = 'C.MC'"
    )
    progress = owner.execute(
        "SELECT metric, value, percentage::float FROM financial_screener.get_processing_progress()"
    ).fetchall()
    assert progress == [
        ("total_tickers", 4, 100.0),
        ("fundamentals_complete", 1, 25.0),
        ("prices_up_to_date", 1, 25.0),
        ("indicators_current", 1, 25.0),
        ("failed_tickers", 1, 25.0),
    ]


def test_needs_are_told_by_asset(owner: Owner) -> None:
    add_sessions(owner, "MC", date(2026, 1, 1), date(2026, 1, 30))
    done = datetime(2026, 2, 1, tzinfo=UTC)
    current = date(2026, 1, 30)
    far = date(2030, 1, 1)
    add_assets(
        owner,
        [
            Asset("NEW"),
            Asset("OLD", checked_to=date(2026, 1, 20), fundamentals_next=far),
            Asset("IND", checked_to=current, fundamentals_next=far, changed_at=done),
            Asset(
                "OK", checked_to=current, fundamentals_next=far, changed_at=done, indicators_at=done
            ),
        ],
    )
    assert dict(
        owner.execute(
            "SELECT ticker, processing_need FROM financial_screener.v_assets_needing_processing"
        ).fetchall()
    ) == {
        "NEW.MC": "bulk_load",
        "OLD.MC": "price_update",
        "IND.MC": "indicator_calc",
        "OK.MC": "up_to_date",
    }


def test_a_ticker_is_reset_for_reprocessing(owner: Owner) -> None:
    add_assets(owner, [Asset("A"), Asset("B")])
    owner.execute(
        "UPDATE financial_screener.asset_processing_state"
        " SET prices_failures = 4, fundamentals_failures = 1, indicators_failures = 2,"
        "     last_error_message = 'x'"
    )
    reset = "SELECT financial_screener.reset_ticker_for_reprocessing(%s, %s)"
    assert owner.execute(reset, ("A.MC", "prices")).fetchone() == (True,)
    assert owner.execute(reset, ("Z.MC", "all")).fetchone() == (False,)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="component: everything"):
        owner.execute(reset, ("A.MC", "everything"))
    assert owner.execute(
        "SELECT ticker, needs_prices_reprocess, needs_fundamentals_reprocess, consecutive_failures,"
        " last_error_message FROM financial_screener.asset_processing_state ORDER BY ticker"
    ).fetchall() == [("A.MC", True, False, 0, None), ("B.MC", False, False, 4, "x")]


@pytest.mark.parametrize(
    ("used", "required", "recommendation"),
    [
        (0, 80_000, "PROCEED"),
        (0, 95_000, "CAUTION"),
        (99_000, 2_000, "REDUCE"),
        (100_000, 1, "STOP"),
    ],
)
def test_the_quota_check_recommends(
    owner: Owner, used: int, required: int, recommendation: str
) -> None:
    set_quota(owner, datetime.now(UTC).date(), limit=100_000, used=used)
    assert owner.execute(
        "SELECT recommendation FROM financial_screener.check_quota_available(%s)", (required,)
    ).fetchone() == (recommendation,)


def test_old_bars_share_a_partition_and_later_years_have_their_own(owner: Owner) -> None:
    owner.execute("SET search_path TO financial_screener")
    add_assets(owner, [Asset("A")])
    owner.execute("SELECT financial_screener.ensure_partitions('1990-01-01', '2031-05-05')")
    owner.execute(
        "INSERT INTO financial_screener.stock_prices"
        " SELECT id, day, 1, 1, 1, 1, 1, 0 FROM financial_screener.assets,"
        " unnest(ARRAY['1962-01-02', '1999-12-31', '2000-01-01', '2031-12-31']::date[]) AS day"
    )
    assert [
        row[0]
        for row in owner.execute(
            "SELECT tableoid::regclass::text FROM financial_screener.stock_prices ORDER BY date"
        )
    ] == [
        "stock_prices_before_2000",
        "stock_prices_before_2000",
        "stock_prices_2000",
        "stock_prices_2031",
    ]


def test_partitions_made_at_once_do_not_collide(owner: Owner, empty_database: str) -> None:
    migrate(empty_database)

    def ensure(_: int) -> None:
        with psycopg.connect(empty_database, autocommit=True) as connection:
            connection.execute(
                "SELECT financial_screener.ensure_partitions('2000-01-01', '2034-01-01')"
            )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ensure, range(8)))


def test_partitions_out_of_reach_are_refused(owner: Owner) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="last_day"):
        owner.execute("SELECT financial_screener.ensure_partitions('2026-01-01', '9999-01-01')")


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        ("stock_prices", "1, 1, 1, 1, 1, 1"),
        ("technical_indicators (asset_id, calculation_date, bars_used, execution_id)", "1, 'run'"),
    ],
    ids=["bars", "indicators"],
)
def test_an_asset_stays_as_long_as_it_has(owner: Owner, rows: str, values: str) -> None:
    owner.execute("SET search_path TO financial_screener")
    add_assets(owner, [Asset("KEPT", exchange="US"), Asset("BARE", exchange="US")])
    owner.execute(
        f"INSERT INTO {rows} SELECT id, '2026-11-20', {values} FROM assets"  # noqa: S608
        " WHERE ticker = 'KEPT.US'"
    )
    owner.execute("DELETE FROM asset_processing_state")
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="KEPT"), owner.transaction():
        owner.execute("DELETE FROM assets WHERE ticker = 'KEPT.US'")
    assert owner.execute("DELETE FROM assets WHERE ticker = 'BARE.US'").rowcount == 1


REFUSED = [
    ("screener_operator", "INSERT INTO stock_prices SELECT 1, '2026-01-01', 1, 1, 1, 1, 1, 1"),
    ("screener_operator", "DELETE FROM process_executions"),
    ("screener_operator", "UPDATE api_daily_quota SET calls_used = 0"),
    ("screener_operator", "CREATE TABLE financial_screener.mine (x int)"),
    ("screener_operator", "SELECT reset_ticker_for_reprocessing('A.US')"),
    ("screener_operator", "SELECT log_api_call('2026-01-01', 'run', 'eod', 1, 1, 0)"),
    ("screener_collector", "SELECT get_processing_progress()"),
    ("screener_collector", "UPDATE process_executions SET status = 'success'"),
    ("screener_collector", "UPDATE technical_indicators SET rsi_14 = 50"),
    ("screener_collector", "DELETE FROM corporate_actions"),
    ("screener_collector", "UPDATE asset_processing_details SET api_calls_used = 0"),
    ("screener_collector", "SELECT * FROM schema_migrations"),
    ("screener_analyzer", "UPDATE stock_prices SET close = 1"),
    ("screener_analyzer", "UPDATE api_daily_quota SET calls_used = 0"),
    ("screener_analyzer", "UPDATE process_executions SET status = 'success'"),
    ("screener_analyzer", "SELECT log_api_call('2026-01-01', 'run', 'eod', 1, 1, 0)"),
]


@pytest.mark.parametrize(("role", "statement"), REFUSED, ids=[f"{r}: {s}" for r, s in REFUSED])
def test_a_program_may_not_do_what_is_not_its_work(owner: Owner, role: str, statement: str) -> None:
    owner.execute("SET search_path TO financial_screener")
    owner.execute(psycopg.sql.SQL("SET ROLE {}").format(psycopg.sql.Identifier(role)))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner.execute(statement)


@pytest.mark.parametrize(
    ("role", "may"),
    [("screener_operator", True), ("screener_collector", True), ("screener_analyzer", True)],
)
def test_who_makes_temporary_tables(empty_database: str, role: str, may: bool) -> None:
    migrate(empty_database)
    with psycopg.connect(empty_database) as connection:
        row = connection.execute(
            "SELECT has_database_privilege(%s, current_database(), 'TEMPORARY')", (role,)
        ).fetchone()
    assert row == (may,)


def test_any_program_may_have_partitions_made(owner: Owner) -> None:
    owner.execute("SET ROLE screener_collector")
    owner.execute("SELECT financial_screener.ensure_partitions('2026-01-01', '2026-12-31')")


@pytest.mark.parametrize(
    ("role", "table"),
    [("screener_analyzer", "technical_indicators"), ("screener_collector", "stock_prices")],
)
def test_a_program_writes_into_every_partition_of_its_table(
    owner: Owner, role: str, table: str
) -> None:
    owner.execute("SELECT financial_screener.ensure_partitions('1990-01-01', '2031-05-05')")
    refused = owner.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = ('financial_screener.' || %s)::regclass"
        "   AND NOT has_table_privilege(%s, inhrelid, 'INSERT')",
        (table, role),
    ).fetchall()
    assert refused == []


def test_a_worker_is_alive_while_its_lock_is_held(owner: Owner) -> None:
    alive = "SELECT financial_screener.worker_is_alive(7)"
    assert owner.execute(alive).fetchone() == (False,)
    owner.execute("SELECT pg_advisory_lock(730001, 7)")
    assert owner.execute(alive).fetchone() == (True,)
    owner.execute("SELECT pg_advisory_unlock(730001, 7)")
    assert owner.execute(alive).fetchone() == (False,)
