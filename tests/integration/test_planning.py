"""The plan of a run on real Postgres: what is due, by which way, within which budget."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

import pytest
from market import Asset, add_assets, add_sessions, open_execution, set_quota
from psycopg import Connection, Cursor
from psycopg.errors import UndefinedTable
from psycopg.rows import TupleRow

from screener_operator.plan import GroupSpec, PlanRequest
from screener_operator.planning import Planner, plan_indicators, plan_run
from screener_sql import query

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
TODAY = NOW.date()
YESTERDAY = date(2026, 11, 23)
FRIDAY = date(2026, 11, 20)
BOTH = ("prices", "fundamentals")

Owner = Connection[TupleRow]


@pytest.fixture
def market(owner: Owner) -> Owner:
    """Sessions of MC, SW and US until next week, and a day's quota."""
    for exchange in ("MC", "SW", "US"):
        add_sessions(owner, exchange, date(2026, 9, 1), date(2026, 12, 1))
    set_quota(owner, TODAY, limit=100_000, used=10)
    return owner


def plan(
    owner: Owner,
    groups: Sequence[GroupSpec] = (GroupSpec("spain", ("MC",)),),
    *,
    operations: tuple[str, ...] = BOTH,
    as_of: date | None = None,
    history_from: date = date(2024, 11, 24),
    max_calls: int | None = None,
    keep_calls: int = 0,
    dry_run: bool = False,
    now: datetime = NOW,
    execution_id: str = "run-1",
) -> None:
    if (
        owner.execute(
            "SELECT FROM financial_screener.process_executions WHERE execution_id = %s",
            (execution_id,),
        ).fetchone()
        is None
    ):
        open_execution(owner, execution_id, max_calls=max_calls, keep_calls=keep_calls)
    request = PlanRequest(
        execution_id,
        tuple(groups),
        operations,
        history_from,
        as_of=as_of,
        max_calls=max_calls,
        keep_calls=keep_calls,
        dry_run=dry_run,
    )
    plan_run(owner, request, now)


def items(owner: Owner) -> list[tuple[object, ...]]:
    """(ticker, operation, way, state, error_code) of every item but those of actions."""
    return owner.execute(
        "SELECT ticker, operation, way, item.state, error_code"
        " FROM financial_screener.plan_items AS item"
        " JOIN financial_screener.assets AS asset ON asset.id = item.asset_id"
        " WHERE operation NOT IN ('splits', 'dividends') ORDER BY 1, 2"
    ).fetchall()


def fetches(owner: Owner) -> list[tuple[object, ...]]:
    """(kind, ticker, session, date_from, date_to, calls, state) in the order of work; those of
    actions are left out."""
    return owner.execute(
        "SELECT request.kind, ticker, session, date_from, date_to, calls, state"
        " FROM financial_screener.plan_fetches AS request"
        " LEFT JOIN financial_screener.assets AS asset ON asset.id = request.asset_id"
        " WHERE request.kind !~ 'splits|dividends' ORDER BY group_name, ordinal"
    ).fetchall()


def test_a_new_asset_gets_its_history_then_its_fundamentals(market: Owner) -> None:
    add_assets(market, [Asset("SAN")])
    plan(market)
    assert items(market) == [
        ("SAN.MC", "fundamentals_bulk", "asset", "planned", None),
        ("SAN.MC", "prices_bulk", "asset", "planned", None),
    ]
    assert fetches(market) == [
        ("prices", "SAN.MC", None, date(2024, 11, 24), TODAY, 1, "planned"),
        ("fundamentals", "SAN.MC", None, None, None, 10, "planned"),
    ]


def test_every_item_by_its_own_request_knows_its_fetch(market: Owner) -> None:
    add_assets(market, [Asset("SAN"), Asset("BBVA", checked_to=YESTERDAY)])
    plan(market)
    assert market.execute(
        "SELECT count(*) FROM financial_screener.plan_items AS item"
        " JOIN financial_screener.plan_fetches AS request"
        " ON request.id = item.fetch_id AND request.asset_id = item.asset_id"
    ).fetchone() == (6,)


def test_what_is_current_ends_skipped_with_a_detail_row(market: Owner) -> None:
    add_assets(market, [Asset("SAN", checked_to=TODAY, fundamentals_next=date(2026, 11, 30))])
    plan(market)
    assert items(market) == [("SAN.MC", "prices_incremental", None, "skipped", "up_to_date")]
    assert market.execute(
        "SELECT ticker, operation, status, error_code, api_calls_used"
        " FROM financial_screener.asset_processing_details"
    ).fetchall() == [("SAN.MC", "prices_incremental", "skipped", "up_to_date", 0)]


@pytest.mark.parametrize(
    ("now", "as_of", "checked_to", "due"),
    [
        pytest.param(NOW, None, YESTERDAY, True, id="closed 16:30, published by 19:30, now 20:00"),
        pytest.param(
            datetime(2026, 11, 24, 19, 0, tzinfo=UTC), None, YESTERDAY, False, id="not published"
        ),
        pytest.param(NOW, YESTERDAY, YESTERDAY, False, id="asOf is covered"),
        pytest.param(NOW, YESTERDAY, FRIDAY, True, id="asOf is not covered"),
        pytest.param(NOW, date(2026, 11, 22), FRIDAY, False, id="asOf on a Sunday means Friday"),
        pytest.param(
            datetime(2026, 11, 22, 12, 0, tzinfo=UTC), None, FRIDAY, False, id="nothing on Sunday"
        ),
    ],
)
def test_the_bar_to_expect_comes_from_the_sessions(
    market: Owner, now: datetime, as_of: date | None, checked_to: date, due: bool
) -> None:
    add_assets(market, [Asset("SAN", checked_to=checked_to)])
    plan(market, operations=("prices",), now=now, as_of=as_of)
    assert [row[3] for row in items(market)] == (["planned"] if due else ["skipped"])


def test_bulk_days_serve_a_large_exchange_and_its_stragglers_go_alone(market: Owner) -> None:
    add_assets(market, [Asset(f"A{n}", checked_to=YESTERDAY) for n in range(301)])
    add_assets(market, [Asset("LATE", checked_to=date(2026, 10, 1)), Asset("NEW")])
    plan(market, operations=("prices",))
    assert Counter((row[1], row[2]) for row in items(market)) == {
        ("prices_incremental", "bulk"): 301,
        ("prices_incremental", "asset"): 1,
        ("prices_bulk", "asset"): 1,
    }
    assert fetches(market)[0][:3] == ("bulk_prices", None, TODAY)
    assert sum(row[5] for row in fetches(market)) == 102  # type: ignore[misc]


def test_two_missing_sessions_by_bulk_come_oldest_first(market: Owner) -> None:
    add_assets(market, [Asset(f"A{n}", checked_to=FRIDAY) for n in range(700)])
    plan(market, operations=("prices",))
    assert [row[2] for row in fetches(market)] == [YESTERDAY, TODAY]


@pytest.mark.parametrize(
    ("days_ago", "way", "notes"),
    [
        pytest.param(
            6,
            "asset",
            [
                f"The vendor refused bulk days on {(NOW - timedelta(days=6)).date()} and is not"
                " asked for them for a week; each asset is asked for by itself."
            ],
            id="for a week",
        ),
        pytest.param(8, "bulk", [], id="but not for ever"),
    ],
)
def test_bulk_that_the_vendor_refused_is_not_planned_again(
    market: Owner, days_ago: int, way: str, notes: list[str]
) -> None:
    add_assets(market, [Asset(f"A{n}", checked_to=YESTERDAY) for n in range(301)])
    market.execute(
        "INSERT INTO financial_screener.vendor_endpoints VALUES ('eod-bulk-last-day', false, %s)",
        (NOW - timedelta(days=days_ago),),
    )
    plan(market, operations=("prices",))
    assert {row[2] for row in items(market)} == {way}
    assert market.execute(
        "SELECT notes FROM financial_screener.slices WHERE kind = 'group'"
    ).fetchall() == [(notes,)]


def test_an_asset_with_an_action_gets_its_whole_history_whatever_the_exchange_does(
    market: Owner,
) -> None:
    add_assets(market, [Asset(f"A{n}", checked_to=YESTERDAY) for n in range(301)])
    add_assets(market, [Asset("SPLIT", checked_to=TODAY, reprocess=True)])
    plan(market, operations=("prices",))
    assert ("SPLIT.MC", "prices_incremental", "asset", "planned", None) in items(market)
    assert fetches(market)[-1][1:5] == ("SPLIT.MC", None, date(2024, 1, 1), TODAY)


@pytest.mark.parametrize(
    ("history_from", "state"),
    [
        pytest.param(date(2015, 1, 1), "planned", id="ten years wanted, two there"),
        pytest.param(date(2023, 12, 20), "skipped", id="a window that slid by days"),
        pytest.param(date(2025, 1, 1), "skipped", id="less history wanted"),
    ],
)
def test_a_longer_history_makes_an_asset_due(market: Owner, history_from: date, state: str) -> None:
    add_assets(market, [Asset("SAN", checked_to=TODAY, checked_from=date(2024, 1, 1))])
    plan(market, operations=("prices",), history_from=history_from)
    assert [row[3] for row in items(market)] == [state]


def test_what_is_fetched_again_reaches_back_to_the_oldest_stored_bar(market: Owner) -> None:
    add_assets(market, [Asset("SAN", checked_to=FRIDAY, checked_from=date(2010, 1, 1))])
    plan(market, operations=("prices",))
    assert fetches(market)[0][3] == date(2010, 1, 1)


def test_the_same_code_on_two_exchanges_is_two_assets(market: Owner) -> None:
    add_assets(market, [Asset("AIR", "MC"), Asset("AIR", "SW")])
    plan(market, [GroupSpec("european", ("MC", "SW"))], operations=("prices",))
    assert [row[0] for row in items(market)] == ["AIR.MC", "AIR.SW"]


def test_symbols_name_assets_of_any_type_and_no_others(market: Owner) -> None:
    add_assets(
        market,
        [Asset("VTI", "US", type="ETF"), Asset("AAPL", "US"), Asset("MSFT", "US"), Asset("AAPL")],
    )
    plan(market, [GroupSpec("us", ("US",), ("VTI", "AAPL"))], operations=("prices",))
    assert [row[0] for row in items(market)] == ["AAPL.US", "VTI.US"]


def test_other_types_and_delisted_assets_are_left_out(market: Owner) -> None:
    add_assets(market, [Asset("ETF", type="ETF"), Asset("GONE", listed=False), Asset("SAN")])
    plan(market, operations=("prices",))
    assert [row[0] for row in items(market)] == ["SAN.MC"]


def test_what_was_published_before_a_listing_left_is_asked_for_once_more(owner: Owner) -> None:
    now = datetime.now(UTC)
    set_quota(owner, now.date(), limit=100_000)
    sessions = add_sessions(owner, "MC", (now - timedelta(20)).date(), (now + timedelta(7)).date())
    before, newest = [day for day in sessions if day < (now - timedelta(1)).date()][-2:]
    owner.execute(
        "DELETE FROM financial_screener.exchange_sessions WHERE session BETWEEN %s AND %s",
        (newest + timedelta(1), now.date()),
    )
    behind = Asset("SAN", checked_to=before, fundamentals_next=before, actions_to=newest)
    add_assets(owner, [behind, Asset("BBVA", checked_to=newest), Asset("NEW")])

    def list_all(listed: bool) -> None:
        owner.execute("UPDATE financial_screener.assets SET listed = %s", [listed])

    list_all(False)
    plan(owner, now=now)
    assert items(owner) == [("SAN.MC", "prices_incremental", "asset", "planned", None)]
    assert [fetch[:2] for fetch in fetches(owner)] == [("prices", "SAN.MC")]

    # As when it has been.
    owner.execute("UPDATE financial_screener.asset_processing_state SET wanted_to = NULL")
    plan(owner, execution_id="later", now=now)
    assert len(items(owner)) == 1, "once"

    for listed in (True, False, True):
        list_all(listed)
    wanted = "SELECT count(wanted_to) FROM financial_screener.asset_processing_state"
    assert owner.execute(wanted).fetchone() == (0,), "what is back is due as any other"


@pytest.mark.parametrize(
    ("checked_to", "since"),
    [
        pytest.param(YESTERDAY, "-infinity", id="with the next session its whole history"),
        pytest.param(TODAY, None, id="not before"),
    ],
)
def test_a_doubted_history_is_asked_for_again_with_the_next_session(
    market: Owner, checked_to: date, since: str | None
) -> None:
    add_assets(market, [Asset(f"A{n}", checked_to=checked_to) for n in range(150)])
    market.execute(
        "UPDATE financial_screener.asset_processing_state SET prices_doubted = true"
        " WHERE ticker = 'A7.MC'"
    )
    plan(market)
    alone = [fetch[1] for fetch in fetches(market) if fetch[0] == "prices"]
    assert alone == (["A7.MC"] if since else [])


def test_fundamentals_are_due_by_their_date(market: Owner) -> None:
    add_assets(
        market,
        [
            Asset("DUE", checked_to=TODAY, fundamentals_next=TODAY),
            Asset("LATER", checked_to=TODAY, fundamentals_next=date(2026, 11, 25)),
        ],
    )
    plan(market)
    assert [(row[0], row[3]) for row in items(market)] == [
        ("DUE.MC", "planned"),
        ("LATER.MC", "skipped"),
    ]


@pytest.mark.parametrize(
    ("next_attempt_at", "state", "code"),
    [
        pytest.param(datetime(2026, 11, 25, tzinfo=UTC), "skipped", "backing_off", id="not yet"),
        pytest.param(NOW, "planned", None, id="its time has come"),
    ],
)
def test_what_failed_backs_off(
    market: Owner, next_attempt_at: datetime, state: str, code: str | None
) -> None:
    add_assets(market, [Asset("EMPTY", prices_next_attempt_at=next_attempt_at)])
    # However often it has: nothing is given up for good.
    market.execute("UPDATE financial_screener.asset_processing_state SET prices_failures = 1000")
    plan(market, operations=("prices",))
    assert [(row[3], row[4]) for row in items(market)] == [(state, code)]


def test_prices_that_back_off_do_not_hold_fundamentals_up(market: Owner) -> None:
    add_assets(market, [Asset("EMPTY", prices_next_attempt_at=datetime(2026, 12, 1, tzinfo=UTC))])
    plan(market)
    assert [(row[1], row[3]) for row in items(market)] == [("fundamentals_bulk", "planned")]


def test_what_does_not_fit_is_deferred_stalest_first(market: Owner) -> None:
    add_assets(
        market,
        [
            Asset("FRESH", checked_to=YESTERDAY),
            Asset("STALE", checked_to=FRIDAY),
            Asset("NEW"),
        ],
    )
    plan(market, operations=("prices",), max_calls=2)
    assert [(row[0], row[3], row[4]) for row in items(market)] == [
        ("FRESH.MC", "deferred", "run_limit"),
        ("NEW.MC", "planned", None),
        ("STALE.MC", "planned", None),
    ]
    assert len(fetches(market)) == 2


def test_user_priority_decides_between_equally_stale_ones(market: Owner) -> None:
    add_assets(market, [Asset("A"), Asset("B"), Asset("C")])
    market.execute(
        "INSERT INTO financial_screener.api_ticker_priority (ticker, priority) VALUES ('C.MC', 1)"
    )
    plan(market, operations=("prices",), max_calls=1)
    assert [row[3] for row in items(market)] == ["deferred", "deferred", "planned"]


def test_keep_calls_is_left_of_the_day(market: Owner) -> None:
    add_assets(market, [Asset(f"A{n}") for n in range(50)])
    plan(market, operations=("prices",), keep_calls=100_000 - 10 - 20)
    assert Counter((row[3], row[4]) for row in items(market)) == {
        ("planned", None): 20,
        ("deferred", "daily_limit"): 30,
    }
    assert market.execute(
        "SELECT DISTINCT message FROM financial_screener.plan_items"
        " WHERE state = 'deferred' AND operation = 'prices_bulk' ORDER BY 1"
    ).fetchall() == [
        ("spec.quota.keepCalls leaves no calls for it; it should come on 2026-11-25",),
    ]


def test_bulk_days_that_do_not_fit_are_deferred_whole(market: Owner) -> None:
    add_assets(market, [Asset(f"A{n}", checked_to=YESTERDAY) for n in range(400)])
    plan(market, operations=("prices",), max_calls=99)
    assert Counter(row[3] for row in items(market)) == {"deferred": 400}
    assert fetches(market) == []


def test_a_spent_day_defers_everything(market: Owner) -> None:
    add_assets(market, [Asset("SAN")])
    market.execute("UPDATE financial_screener.api_daily_quota SET spent = true")
    plan(market)
    assert {(row[3], row[4]) for row in items(market)} == {("deferred", "daily_limit")}


def test_a_dry_run_shows_the_plan_and_leaves_nothing_to_do(market: Owner) -> None:
    add_assets(market, [Asset("SAN"), Asset("BBVA")])
    plan(market, operations=("prices",), dry_run=True, max_calls=1)
    assert [(row[3], row[4]) for row in items(market)] == [
        ("skipped", "run_limit"),
        ("skipped", "dry_run"),
    ] or [(row[3], row[4]) for row in items(market)] == [
        ("skipped", "dry_run"),
        ("skipped", "run_limit"),
    ]
    assert [row[6] for row in fetches(market)] == ["deferred"]


def test_planning_again_changes_nothing(market: Owner) -> None:
    add_assets(market, [Asset("SAN"), Asset("BBVA", checked_to=TODAY)])
    plan(market)
    before = items(market), fetches(market)
    plan(market)
    assert (items(market), fetches(market)) == before


def test_a_plan_that_fails_half_way_leaves_nothing(market: Owner) -> None:
    add_assets(market, [Asset("SAN")])
    open_execution(market, "run-1")
    market.execute(
        "CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'disk full'; END$$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON financial_screener.asset_processing_details"
        " FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.refuse()"
    )
    with pytest.raises(Exception, match="disk full"):
        plan(market)
    assert (items(market), fetches(market)) == ([], [])
    assert market.execute(
        "SELECT planned_at FROM financial_screener.process_executions"
    ).fetchone() == (None,)


def test_what_postgres_refuses_while_deciding_is_told(market: Owner) -> None:
    """Statements of a decision are asked one upon the other: the one that failed has to be told,
    not the one whose answer is waited for."""
    add_assets(market, [Asset("SAN")])
    market.execute("ALTER TABLE financial_screener.api_ticker_priority RENAME TO elsewhere")
    with pytest.raises(UndefinedTable, match="api_ticker_priority"):
        plan(market)
    market.execute("ALTER TABLE financial_screener.elsewhere RENAME TO api_ticker_priority")
    assert items(market) == []
    plan(market)
    assert items(market) != []


class OfManyMore(Cursor[TupleRow]):
    """A planner's cursor that asks how Postgres would store the items of very many assets, each
    like one of those that there are: as the planner asks, and had it not turned Memoize off.
    """

    as_it_is = with_memoize = ""

    def execute(self, statement: Any, *args: Any, **more: Any) -> Self:
        if statement == query("planning/insert_items"):
            with self.connection.transaction(force_rollback=True):
                run = super().execute
                run("INSERT INTO delta SELECT delta.* FROM delta, generate_series(1, 25000)")
                run("ANALYZE delta")
                self.as_it_is = str(run(b"EXPLAIN " + statement, *args).fetchall())
                run("SET LOCAL enable_memoize = on")
                self.with_memoize = str(run(b"EXPLAIN " + statement, *args).fetchall())
        return super().execute(statement, *args, **more)


def test_no_hash_is_cleared_for_each_of_very_many_assets(market: Owner) -> None:
    add_assets(market, [Asset(f"A{n}", exchange) for exchange in ("MC", "US") for n in range(4)])
    open_execution(market, "run-1")
    request = PlanRequest("run-1", (GroupSpec("all", ("MC", "US")),), BOTH, date(2024, 11, 24))
    with market.transaction(), OfManyMore(market) as cursor:
        planner = Planner(cursor, request, NOW)
        planner.store(planner.decide())
    if "Memoize" not in cursor.with_memoize:
        pytest.skip("this Postgres would not think of it")
    assert "Memoize" not in cursor.as_it_is


def test_an_execution_that_is_not_open_is_refused(market: Owner) -> None:
    with pytest.raises(LookupError, match="run-9"):
        plan_run(market, PlanRequest("run-9", (), BOTH, TODAY), NOW)


EARLIER = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


def test_indicators_are_due_where_bars_changed_since(market: Owner) -> None:
    add_assets(
        market,
        [
            Asset("CHANGED", checked_to=TODAY, changed_at=NOW, indicators_at=EARLIER),
            Asset("CURRENT", checked_to=TODAY, changed_at=EARLIER, indicators_at=NOW),
            Asset("FIRST", checked_to=TODAY, changed_at=EARLIER),
            Asset("NOBARS"),
            Asset("SPLIT", checked_to=TODAY, changed_at=NOW, reprocess=True),
        ],
    )
    open_execution(market, "ind-1")
    plan_indicators(
        market, "ind-1", exchanges=None, symbols=None, mode="changed", as_of=None, now=NOW
    )
    assert [(row[0], row[3], row[4]) for row in items(market)] == [
        ("CHANGED.MC", "planned", None),
        ("CURRENT.MC", "skipped", "up_to_date"),
        ("FIRST.MC", "planned", None),
        ("SPLIT.MC", "skipped", "awaiting_refetch"),
    ]


def test_mode_all_computes_what_is_current_too(market: Owner) -> None:
    add_assets(market, [Asset("CURRENT", checked_to=TODAY, changed_at=EARLIER, indicators_at=NOW)])
    open_execution(market, "ind-1")
    plan_indicators(
        market, "ind-1", exchanges=("MC",), symbols=None, mode="all", as_of=None, now=NOW
    )
    assert [row[3] for row in items(market)] == ["planned"]


def test_a_named_symbol_without_bars_is_not_passed_over(market: Owner) -> None:
    add_assets(market, [Asset("NOBARS"), Asset("SAN", checked_to=TODAY, changed_at=NOW)])
    open_execution(market, "ind-1")
    plan_indicators(
        market, "ind-1", exchanges=("MC",), symbols=("NOBARS",), mode="changed", as_of=None, now=NOW
    )
    assert [(row[0], row[3]) for row in items(market)] == [("NOBARS.MC", "planned")]
