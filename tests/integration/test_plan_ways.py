"""Plans of the fewest calls on real Postgres: actions, pages, reference series, final volumes,
histories again, the days to come, and when fundamentals are due.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
from market import Asset, add_assets, add_sessions, open_execution, set_quota
from psycopg import Connection, Cursor
from psycopg.rows import TupleRow, dict_row
from psycopg.types.json import Jsonb

from screener_operator.plan import GroupSpec, PlanRequest
from screener_operator.planning import plan_run
from screener_sql import query

pytestmark = pytest.mark.integration

TICKERS = Path(__file__).parents[3] / "shared/data/tickers"
NOW = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
TODAY, YESTERDAY, FRIDAY = NOW.date(), date(2026, 11, 23), date(2026, 11, 20)
LATER = date(2027, 6, 1)

Owner = Connection[TupleRow]


@pytest.fixture
def market(owner: Owner) -> Owner:
    """Sessions until next week, and a day's quota."""
    for exchange in ("MC", "SW", "US", "LSE", "F", "XETRA", "PA"):
        add_sessions(owner, exchange, date(2026, 9, 1), date(2026, 12, 1))
    set_quota(owner, TODAY, limit=100_000)
    return owner


def rows(owner: Owner, statement: str, *parameters: object) -> list[dict[str, Any]]:
    with owner.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SET search_path TO financial_screener")
        return cursor.execute(statement.encode(), parameters).fetchall()


def plan(
    owner: Owner,
    *exchanges: str,
    execution_id: str = "run-1",
    now: datetime = NOW,
    operations: tuple[str, ...] = ("prices",),
    max_calls: int | None = None,
    dry_run: bool = False,
    groups: Sequence[GroupSpec] = (),
    history_from: date = date(2024, 11, 24),
) -> None:
    open_execution(owner, execution_id, max_calls=max_calls)
    request = PlanRequest(
        execution_id,
        tuple(groups) or (GroupSpec("all", exchanges or ("MC",)),),
        operations,
        history_from,
        max_calls=max_calls,
        dry_run=dry_run,
    )
    plan_run(owner, request, now)


def requests(owner: Owner, execution_id: str = "run-1") -> Counter[tuple[str, str]]:
    """How many requests of each kind and purpose."""
    found = rows(
        owner, "SELECT kind, purpose FROM plan_fetches WHERE execution_id = %s", execution_id
    )
    return Counter((row["kind"], row["purpose"]) for row in found)


def items(owner: Owner, execution_id: str = "run-1") -> Counter[tuple[str, str | None, str]]:
    """How many items of each operation, way and state."""
    found = rows(
        owner,
        "SELECT operation, way, state FROM plan_items WHERE execution_id = %s",
        execution_id,
    )
    return Counter((row["operation"], row["way"], row["state"]) for row in found)


def known(number: int, exchange: str = "MC", **more: Any) -> list[Asset]:
    values: dict[str, Any] = {"checked_to": TODAY, "fundamentals_next": LATER, **more}
    return [Asset(f"K{n}", exchange, **values) for n in range(number)]


@pytest.mark.parametrize(
    ("now", "due"),
    [
        pytest.param(datetime(2026, 11, 24, 3, 59, tzinfo=UTC), False, id="before they are final"),
        pytest.param(datetime(2026, 11, 24, 4, 0, tzinfo=UTC), True, id="from 04:00 on"),
    ],
)
def test_a_sessions_actions_are_asked_for_once_they_are_final(
    market: Owner, now: datetime, due: bool
) -> None:
    add_assets(market, known(150, checked_to=YESTERDAY, actions_to=FRIDAY))
    plan(market, now=now)
    assert items(market) == (
        {("splits", "bulk", "planned"): 150, ("dividends", "bulk", "planned"): 150}
        if due
        else {("prices_incremental", None, "skipped"): 150}
    )
    assert [
        (row["kind"], row["session"], row["calls"])
        for row in rows(market, "SELECT * FROM plan_fetches ORDER BY ordinal")
    ] == ([("bulk_dividends", YESTERDAY, 100), ("bulk_splits", YESTERDAY, 100)] if due else [])


def test_prices_and_actions_each_go_the_cheapest_way(market: Owner) -> None:
    behind = known(150, checked_to=YESTERDAY, actions_to=date(2026, 11, 18))
    add_assets(market, [*behind, Asset("NEW", fundamentals_next=LATER)])
    plan(market)
    # One session of prices by bulk; three of actions would cost more than an asset each.
    assert items(market) == {
        ("prices_incremental", "bulk", "planned"): 150,
        ("prices_bulk", "asset", "planned"): 1,
        ("splits", "asset", "planned"): 151,
        ("dividends", "asset", "planned"): 151,
    }
    ordered = rows(market, "SELECT kind, calls FROM plan_fetches ORDER BY ordinal")
    assert [row["kind"] for row in ordered[:4]] == ["bulk_prices", "prices", "splits", "dividends"]
    assert sum(row["calls"] for row in ordered) == 100 + 1 + 302
    assert {row["expected_to"] for row in rows(market, "SELECT * FROM plan_items")} == {
        TODAY,
        YESTERDAY,
    }


def see(owner: Owner, in_plan: bool, days_ago: int) -> None:
    owner.execute(
        "INSERT INTO financial_screener.vendor_endpoints VALUES ('bulk-fundamentals', %s, %s)",
        (in_plan, NOW - timedelta(days=days_ago)),
    )


@pytest.mark.parametrize(
    ("seen", "pages", "alone"),
    [
        pytest.param(None, 1, 200, id="never asked: one page is the probe"),
        pytest.param((True, 1), 2, 0, id="included: pages wherever they pay"),
        pytest.param((False, 6), 0, 700, id="refused: for a week"),
        pytest.param((False, 8), 1, 200, id="then one page is asked again"),
    ],
)
def test_pages_of_fundamentals_are_found_out_by_asking(
    market: Owner, seen: tuple[bool, int] | None, pages: int, alone: int
) -> None:
    add_assets(market, known(600, fundamentals_next=None))
    add_assets(market, known(100, "SW", fundamentals_next=None))
    if seen:
        see(market, *seen)
    market.execute("UPDATE financial_screener.exchanges SET listed_rows = 40000")
    # With pages: 500 and 100 of MC and 100 of SW are three pages by name.
    pages = 3 if seen == (True, 1) else pages
    plan(market, "MC", "SW", operations=("fundamentals",))
    assert requests(market)["bulk_fundamentals", "due"] == pages
    assert requests(market)["fundamentals", "due"] == alone
    paged = rows(
        market,
        "SELECT cardinality(symbols) AS symbols, calls, count(item.id) AS items"
        " FROM plan_fetches JOIN plan_items AS item ON item.fetch_id = plan_fetches.id"
        " JOIN assets ON assets.id = item.asset_id AND assets.code = ANY (symbols)"
        " WHERE plan_fetches.kind = 'bulk_fundamentals' AND item.way = 'bulk'"
        " GROUP BY plan_fetches.id",
    )
    assert all(row["calls"] == 100 + row["symbols"] == 100 + row["items"] for row in paged)
    assert sum(row["items"] for row in paged) + alone == 700


def test_a_whole_exchange_goes_by_whole_pages(market: Owner) -> None:
    add_assets(market, known(600, fundamentals_next=None))
    market.execute("UPDATE financial_screener.exchanges SET listed_rows = 1100")
    see(market, True, 0)
    plan(market, operations=("fundamentals",))
    assert [
        (row["page_offset"], row["symbols"], row["calls"])
        for row in rows(market, "SELECT * FROM plan_fetches ORDER BY ordinal")
    ] == [(0, None, 100), (500, None, 100), (1000, None, 100)]
    assert items(market) == {("fundamentals_bulk", "bulk", "planned"): 600}
    assert rows(
        market, "SELECT DISTINCT page_offset FROM plan_items JOIN plan_fetches f ON f.id = fetch_id"
    ) == [{"page_offset": 1000}]


def add_series(market: Owner) -> None:
    """Assets of three exchanges, nothing due, and the reference series that they need."""
    add_assets(market, known(3) + known(3, "SW") + known(3, "LSE"))
    for code, exchange, kind in (
        ("IBEX", "INDX", "index"),
        ("SSMI", "INDX", "index"),
        ("EURUSD", "FOREX", "fx"),
        ("GBPUSD", "FOREX", "fx"),
        ("CHFUSD", "FOREX", "fx"),
    ):
        add_assets(market, [Asset(code, exchange, type=None)])
        market.execute(
            "UPDATE financial_screener.assets SET kind = %s WHERE code = %s", (kind, code)
        )
    for exchange, currency in (("MC", "EUR"), ("SW", "EUR"), ("LSE", "GBX")):
        market.execute(
            "UPDATE financial_screener.assets SET currency = %s WHERE ticker LIKE %s",
            (currency, f"%.{exchange}"),
        )


def test_reference_series_are_asked_for_once_a_day_and_serve_no_item(market: Owner) -> None:
    add_series(market)
    groups = (GroupSpec("spain", ("MC",)), GroupSpec("rest", ("SW", "LSE")))
    plan(market, groups=groups)
    planned = (
        "SELECT f.group_name, ticker, f.calls, f.ordinal < 1000 AS first, date_to"
        " FROM plan_fetches AS f JOIN assets ON assets.id = asset_id"
        " WHERE execution_id = %s ORDER BY f.group_name DESC, ticker"
    )
    assert [tuple(row.values()) for row in rows(market, planned, "run-1")] == [
        ("spain", "EURUSD.FOREX", 1, True, TODAY),
        ("spain", "IBEX.INDX", 1, True, TODAY),
        ("rest", "GBPUSD.FOREX", 1, True, TODAY),
        ("rest", "SSMI.INDX", 1, True, TODAY),
    ]
    assert items(market) == {("prices_incremental", None, "skipped"): 9}
    assert rows(market, "SELECT metric, value FROM get_processing_progress() LIMIT 1") == [
        {"metric": "total_tickers", "value": 9}
    ]
    market.execute(
        "UPDATE financial_screener.asset_processing_state SET prices_checked_to = %s,"
        " prices_loaded = true WHERE ticker ~ 'FOREX|INDX'",
        (TODAY,),
    )
    plan(market, execution_id="run-2", groups=groups)
    assert requests(market, "run-2") == {}


def series(market: Owner, execution_id: str) -> set[str]:
    """The reference series that a run is to fetch."""
    planned = rows(
        market,
        "SELECT ticker FROM plan_fetches JOIN assets ON assets.id = asset_id"
        " WHERE execution_id = %s AND purpose = 'reference' AND state = 'planned'",
        execution_id,
    )
    return {row["ticker"] for row in planned}


@pytest.mark.parametrize("state", ["planned", "claimed"])
def test_a_series_that_another_run_is_about_to_fetch_is_left_to_it(
    market: Owner, state: str
) -> None:
    add_series(market)
    plan(market, "MC")
    market.execute("UPDATE financial_screener.plan_fetches SET state = %s", (state,))

    plan(market, "SW", execution_id="run-2")

    assert series(market, "run-2") == {"SSMI.INDX"}


@pytest.mark.parametrize(
    ("fetch", "run"),
    [
        pytest.param("deferred", "running", id="deferred"),
        pytest.param("failed", "partial", id="its run has ended"),
        pytest.param("planned", "failed", id="its run has ended, whatever it left"),
    ],
)
def test_a_series_that_another_run_did_not_fetch_is_due_again(
    market: Owner, fetch: str, run: str
) -> None:
    add_series(market)
    plan(market, "MC")
    plan(market, "SW", execution_id="run-2")
    market.execute("UPDATE financial_screener.plan_fetches SET state = %s", (fetch,))
    market.execute("UPDATE financial_screener.process_executions SET status = %s", (run,))

    plan(market, "SW", execution_id="run-3")

    assert series(market, "run-3") == {"SSMI.INDX", "EURUSD.FOREX"}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"history_from": date(2024, 10, 1)}, id="since an earlier day"),
        pytest.param({"now": NOW + timedelta(days=1)}, id="up to a later session"),
    ],
)
def test_more_of_a_series_than_another_run_fetches_is_asked_for(
    market: Owner, more: dict[str, Any]
) -> None:
    set_quota(market, TODAY + timedelta(days=1), limit=100_000)
    add_series(market)
    plan(market, "MC")

    plan(market, "SW", execution_id="run-2", **more)

    assert series(market, "run-2") == {"SSMI.INDX", "EURUSD.FOREX"}


def test_final_volumes_are_asked_for_once(market: Owner) -> None:
    add_assets(market, known(150, "US"))
    correction = ("bulk_prices", "correction")
    plan(market, "US")
    assert requests(market) == {correction: 1}
    assert rows(market, "SELECT session, calls FROM plan_fetches") == [
        {"session": YESTERDAY, "calls": 100}
    ]
    assert items(market) == {("prices_incremental", None, "skipped"): 150}
    asked = "INSERT INTO bulk_days SELECT id, %s, 'bulk_prices', %s, 1, 1, 0, true, NULL, 'run-0'"
    us = " FROM exchanges WHERE code = 'US' RETURNING 1"
    closed = datetime(2026, 11, 23, 16, 30, tzinfo=UTC)
    rows(market, asked + us, YESTERDAY, closed + timedelta(hours=2))
    plan(market, "US", execution_id="run-2")
    assert requests(market, "run-2") == {correction: 1}, "its volumes were not final then"
    rows(market, asked + us, YESTERDAY, closed + timedelta(hours=12))
    plan(market, "US", execution_id="run-3")
    assert requests(market, "run-3") == {}


@pytest.mark.parametrize(
    ("max_calls", "refreshed"),
    [
        pytest.param(None, ["K0", "K1", "K2"], id="a part of 60, the oldest first"),
        pytest.param(1, ["K0"], id="no more than is spare"),
    ],
)
def test_spare_calls_fetch_old_histories_again(
    market: Owner, max_calls: int | None, refreshed: list[str]
) -> None:
    old = datetime(2026, 10, 1, tzinfo=UTC)
    assets = [
        Asset(f"K{n}", checked_to=TODAY, refreshed_at=old + timedelta(hours=n)) for n in range(60)
    ]
    add_assets(market, assets)
    plan(market, max_calls=max_calls)
    found = rows(
        market,
        "SELECT code, purpose, operation, way, item.state FROM plan_fetches"
        " JOIN plan_items AS item ON item.fetch_id = plan_fetches.id"
        " JOIN assets ON assets.id = item.asset_id ORDER BY ordinal",
    )
    assert [tuple(row.values()) for row in found] == [
        (code, "refresh", "prices_incremental", "asset", "planned") for code in refreshed
    ]


def test_a_refreshed_history_takes_the_place_of_its_bulk_day(market: Owner) -> None:
    old = datetime(2026, 10, 1, tzinfo=UTC)
    add_assets(market, known(150, checked_to=YESTERDAY))
    add_assets(market, [Asset("OLD", checked_to=YESTERDAY, refreshed_at=old)])
    market.execute(
        "UPDATE financial_screener.asset_processing_state SET prices_refreshed_at = %s"
        " WHERE ticker <> 'OLD.MC'",
        (NOW - timedelta(days=1),),
    )
    plan(market)
    assert items(market) == {
        ("prices_incremental", "bulk", "planned"): 143,
        ("prices_incremental", "asset", "planned"): 8,
    }
    assert requests(market) == {("bulk_prices", "due"): 1, ("prices", "refresh"): 8}


def test_the_day_of_a_plan_has_every_call_and_final_volumes_before_fundamentals(
    market: Owner,
) -> None:
    known_of = {"checked_to": TODAY, "refreshed_at": NOW - timedelta(days=1)}
    add_assets(market, [Asset(f"K{n}", "US", **known_of) for n in range(150)])
    plan(market, "US", operations=("prices", "fundamentals"), max_calls=300)
    assert requests(market) == {("bulk_prices", "correction"): 1, ("fundamentals", "due"): 20}
    first = market.execute(
        "SELECT purpose FROM financial_screener.plan_fetches ORDER BY ordinal LIMIT 1"
    ).fetchone()
    assert first == ("correction",)
    plan(market, "US", execution_id="run-2", dry_run=True)
    assert requests(market, "run-2") == {("bulk_prices", "correction"): 1, ("prices", "refresh"): 8}
    for run, calls in (("run-1", 300), ("run-2", 108)):
        sums = "SELECT sum(calls) AS calls FROM plan_fetches WHERE execution_id = %s"
        assert rows(market, sums, run) == [{"calls": calls}]
        told = "SELECT schedule FROM process_executions WHERE execution_id = %s"
        assert rows(market, told, run)[0]["schedule"][0]["calls"] == calls


def test_what_is_always_wanted_comes_first_and_what_may_be_skipped_last(market: Owner) -> None:
    add_assets(market, [Asset("NEVER"), Asset("SKIP")])
    add_assets(market, [Asset("ALWAYS", checked_to=FRIDAY), Asset("STALE", checked_to=FRIDAY)])
    market.execute(
        "INSERT INTO financial_screener.api_ticker_priority"
        " (ticker, priority, always_process, skip_when_limited) VALUES"
        " ('ALWAYS.MC', 5, true, false), ('SKIP.MC', 1, false, true)"
    )
    plan(market, max_calls=3)
    found = rows(
        market,
        "SELECT code, due_on FROM plan_items JOIN assets ON assets.id = asset_id"
        " WHERE operation LIKE 'prices%%' AND %s ORDER BY 1",
        True,
    )
    assert [tuple(row.values()) for row in found] == [
        ("ALWAYS", None),
        ("NEVER", None),
        ("SKIP", TODAY + timedelta(days=1)),
        ("STALE", None),
    ]


def test_no_groups_fundamentals_are_planned_with_calls_of_anothers_prices(market: Owner) -> None:
    """So it does not matter in which order the groups' Jobs run."""
    see(market, False, 1)  # no pages
    add_assets(market, [Asset(f"A{n}", exchange) for exchange in ("MC", "SW") for n in range(30)])
    plan(
        market,
        operations=("prices", "fundamentals"),
        max_calls=100,
        groups=(GroupSpec("first", ("MC",)), GroupSpec("second", ("SW",))),
    )
    planned = rows(
        market,
        "SELECT group_name, kind, count(*), sum(calls) AS calls FROM plan_fetches"
        " WHERE state = 'planned' GROUP BY 1, 2",
    )
    of_kind: Counter[str] = Counter()
    for row in planned:
        of_kind[row["kind"]] += row["calls"]
    assert sum(of_kind.values()) == 100
    # All prices of both; a tenth is for fundamentals, and actions have the rest.
    assert {row["group_name"]: row["count"] for row in planned if row["kind"] == "prices"} == {
        "first": 30,
        "second": 30,
    }
    assert of_kind["fundamentals"] == 10


def universe() -> list[tuple[str, str]]:
    """(exchange, code) of the seed's 21,817 listings; made up where the real ones are not there."""
    files = {
        "nyse": ("US", 2_339),
        "nasdaq": ("US", 4_086),
        "lse": ("LSE", 3_145),
        "frankfurt": ("F", 10_209),
        "xetra": ("XETRA", 691),
        "euronext": ("PA", 890),
        "bme": ("MC", 239),
        "six": ("SW", 218),
    }
    found = []
    for name, (exchange, number) in files.items():
        path = TICKERS / f"{name}.txt"
        codes = (
            [line for line in path.read_text().split() if not line.startswith("#")]
            if path.exists()
            else [f"{name[:2].upper()}{n}" for n in range(number)]
        )
        assert len(codes) == number
        found += [(exchange, code) for code in codes]
    return found


def test_the_seeds_first_day_gives_the_whole_universe_its_prices(market: Owner) -> None:
    listings = universe()
    assert len(listings) == 21_817
    every = 21_817 / 5_045
    loaded = {int(n * every) for n in range(5_045)}
    add_assets(
        market,
        [
            Asset(code, exchange, checked_to=FRIDAY, actions_to=None)
            if n in loaded
            else Asset(code, exchange)
            for n, (exchange, code) in enumerate(listings)
        ],
    )
    exchanges = tuple(dict.fromkeys(exchange for exchange, _ in listings))
    plan(market, *exchanges, operations=("prices", "fundamentals"), dry_run=True)
    plan(market, *exchanges, operations=("prices", "fundamentals"), execution_id="run-2")
    states: Counter[tuple[str, str]] = Counter()
    for (operation, _, state), number in items(market, "run-2").items():
        states[operation.split("_")[0], state] += number
    assert states["prices", "planned"] == 21_817
    assert (states["splits", "planned"], states["dividends", "planned"]) == (21_817, 21_817)
    assert states["fundamentals", "planned"] + states["fundamentals", "deferred"] == 21_817
    [today] = rows(
        market, "SELECT sum(calls) AS calls FROM plan_fetches WHERE execution_id = 'run-2'"
    )
    [dry, wet] = rows(market, "SELECT schedule FROM process_executions ORDER BY execution_id")
    schedule = dry["schedule"]
    assert schedule == wet["schedule"], "a dry run tells the plan of the real one"
    assert schedule[0]["day"] == TODAY.isoformat()
    assert today["calls"] == schedule[0]["calls"] > 99_900
    assert all(each["calls"] <= 100_000 for each in schedule)
    assert all(
        each["calls"] == each["prices"] + each["actions"] + each["fundamentals"]
        for each in schedule
    )
    # All actions are first loads; a page of 500 fundamentals is the probe, at 600 calls.
    assert sum(each["actions"] for each in schedule) == 2 * 21_817
    assert sum(each["fundamentals"] for each in schedule) == 600 + 10 * 21_317
    deferred = rows(
        market,
        "SELECT due_on, count(*) AS items, min(message) AS message FROM plan_items"
        " WHERE execution_id = 'run-2' AND state = 'deferred' GROUP BY 1 ORDER BY 1",
    )
    by_day = [(each["day"], each["fundamentals"] // 10) for each in schedule[1:]]
    assert [(row["due_on"].isoformat(), row["items"]) for row in deferred] == by_day
    assert deferred[0]["message"] == (
        "the calls left of the day do not reach for it; it should come on 2026-11-25"
    )


REFRESH = "SELECT next_fundamental_refresh(%s, %s::refresh_frequency, %s, %s::jsonb) AS day"


@pytest.mark.parametrize(
    ("frequency", "days"), [("daily", 1), ("weekly", 7), ("monthly", 30), ("quarterly", 91)]
)
def test_no_day_is_a_peak_after_everything_was_loaded_at_once(
    owner: Owner, frequency: str, days: int
) -> None:
    spread = rows(
        owner,
        "SELECT next_fundamental_refresh(n, %s::refresh_frequency, %s, NULL) AS day,"
        " count(*) AS assets FROM generate_series(1, 21817) AS n GROUP BY 1 ORDER BY 1",
        frequency,
        TODAY,
    )
    assert [row["day"] for row in spread] == [TODAY + timedelta(n + 1) for n in range(days)]
    numbers = [row["assets"] for row in spread]
    assert max(numbers) - min(numbers) <= 1
    [again] = rows(owner, REFRESH, 7, frequency, TODAY, None)
    [after] = rows(owner, REFRESH, 7, frequency, again["day"], None)
    assert after["day"] - again["day"] == timedelta(days), "from then on exactly once a period"


@pytest.mark.parametrize(
    ("frequency", "earnings", "day"),
    [
        pytest.param("never", '{"History": {"x": {"reportDate": "2026-11-26"}}}', None, id="never"),
        pytest.param(
            "quarterly",
            '{"History": {"2026-09-30": {"reportDate": "2026-11-26"},'
            ' "2026-06-30": {"reportDate": "2026-08-01"}}}',
            date(2026, 11, 29),
            id="three days after a report to come",
        ),
        pytest.param(
            "quarterly",
            '{"History": {"2026-09-30": {"reportDate": "2026-11-23"}}}',
            date(2026, 11, 26),
            id="after one of yesterday",
        ),
        pytest.param(
            "quarterly",
            '{"History": {"a": {"reportDate": "0000-00-00"}, "b": {"reportDate": "2026-02-31"},'
            ' "c": {"reportDate": null}, "d": []}}',
            date(2027, 2, 20),
            id="days that there are not",
        ),
        pytest.param("quarterly", '{"History": []}', date(2027, 2, 20), id="an empty history"),
        pytest.param("quarterly", None, date(2027, 2, 20), id="nothing known"),
    ],
)
def test_fundamentals_come_sooner_after_a_report(
    owner: Owner, frequency: str, earnings: str | None, day: date | None
) -> None:
    [found] = rows(owner, REFRESH, 7, frequency, TODAY, earnings)
    assert found["day"] == day


def test_who_wants_fundamentals_more_often_gets_them_at_once(market: Owner) -> None:
    add_assets(market, known(1))
    change = (
        "UPDATE asset_processing_state SET fundamental_refresh_frequency = %s,"
        " fundamentals_loaded_at = %s RETURNING next_fundamental_refresh AS day"
    )
    loaded = NOW - timedelta(days=3)
    assert rows(market, change, "daily", loaded) == [{"day": date(2026, 11, 22)}]
    plan(market, operations=("fundamentals",))
    assert items(market) == {("fundamentals_bulk", "asset", "planned"): 1}
    assert rows(market, change, "never", loaded) == [{"day": None}]
    plan(market, operations=("fundamentals",), execution_id="run-2")
    assert items(market, "run-2") == {("fundamentals_bulk", None, "skipped"): 1}


def test_the_universe_follows_the_symbol_lists(market: Owner) -> None:
    add_assets(market, [Asset("STAYS"), Asset("GOES"), Asset("FUND", type="ETF")])
    market.execute("UPDATE financial_screener.assets SET listed = false WHERE code = 'GOES'")
    market.execute("UPDATE financial_screener.assets SET type = 'Common Stock' WHERE code = 'FUND'")
    plan(market)
    found = rows(market, "SELECT DISTINCT code FROM plan_items JOIN assets a ON a.id = asset_id")
    assert sorted(row["code"] for row in found) == ["FUND", "STAYS"]


def test_the_first_plan_stays_in_sight_whatever_becomes_of_it(market: Owner) -> None:
    add_assets(market, known(150, checked_to=YESTERDAY))
    plan(market)
    before = rows(market, "SELECT plan FROM slices WHERE kind = 'group'")
    assert before[0]["plan"][0]["choice"] == (
        "MC: prices by 1 bulk day for 150 assets (100 calls) rather than 150; 100 calls in all"
    )
    market.execute("UPDATE financial_screener.plan_items SET way = 'asset'")
    assert rows(market, "SELECT plan FROM slices WHERE kind = 'group'") == before


def test_the_log_tells_in_a_sentence_of_each_exchange_what_was_chosen_and_the_sum(
    market: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    add_assets(market, known(150, checked_to=YESTERDAY) + known(3, "SW", checked_to=YESTERDAY))
    add_assets(market, known(2, "US"))
    with caplog.at_level("INFO", "screener_operator.planning"):
        plan(market, "MC", "SW", "US")
    told = [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().startswith(("MC", "SW", "US"))
    ]
    assert sorted(told) == [
        "MC: prices by 1 bulk day for 150 assets (100 calls) rather than 150; 100 calls in all",
        "SW: prices of 3 assets alone (3 calls); 3 calls in all",
    ]
    assert caplog.records[-1].getMessage() == (
        "planned 103 of 103 calls that are due; 1 day until all is current"
    )


class Counted(Cursor[TupleRow]):
    """A cursor that keeps the texts of what it is asked."""

    asked: ClassVar[Counter[str]] = Counter()

    def execute(self, statement: Any, *args: Any, **more: Any) -> Self:
        self.asked[statement if isinstance(statement, str) else statement.decode()] += 1
        return super().execute(statement, *args, **more)


def test_statements_of_a_plan_are_the_same_and_as_many_whatever_the_universe(
    market: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discovery is one of them."""
    monkeypatch.setattr(market, "cursor_factory", Counted)
    asked: list[Counter[str]] = []
    for number in (4, 400):
        for exchange in ("MC", "SW"):
            add_assets(
                market,
                [
                    Asset(f"{number}N{n}", exchange, checked_to=(None, FRIDAY)[n % 2])
                    for n in range(number)
                ],
            )
        run = f"of-{number}"
        open_execution(market, run)
        request = PlanRequest(
            run, (GroupSpec("all", ("MC", "SW")),), ("prices", "fundamentals"), date(2024, 11, 24)
        )
        Counted.asked.clear()
        plan_run(market, request, NOW)
        asked.append(Counted.asked.copy())
    assert items(market, "of-4").total() < 50 < 1600 < items(market, "of-400").total()
    few, many = asked
    assert few == many
    of_states = {
        text: number
        for text, number in many.items()
        if "asset_processing_state" in text or "assets_in_scope" in text
    }
    assert of_states == {
        query(f"planning/{name}").decode(): 1
        for name in ("discover", "reference", "order", "insert_asset_fetches")
    }


@pytest.mark.parametrize(
    ("checked_from", "known_still"),
    [
        pytest.param(date(2024, 11, 20), True, id="a history as long as before"),
        pytest.param(date(2025, 11, 20), True, id="a shorter one"),
        pytest.param(date(2020, 11, 20), False, id="one that reaches further back"),
    ],
)
def test_older_bars_want_the_actions_of_their_days(
    market: Owner, checked_from: date, known_still: bool
) -> None:
    add_assets(market, known(1))
    row = market.execute(
        "UPDATE financial_screener.asset_processing_state SET prices_checked_from = '2024-11-20',"
        " splits_checked_to = '2026-11-20', dividends_checked_to = '2026-11-20'"
        " RETURNING asset_id"
    ).fetchone()
    assert row
    ended = {
        "asset_id": row[0],
        "first_date": checked_from.isoformat(),
        "last_date": FRIDAY.isoformat(),
        "checked_from": checked_from.isoformat(),
        "expected_to": FRIDAY.isoformat(),
        "inserted": 1,
        "updated": 0,
        "started_at": NOW.isoformat(),
    }
    market.execute(
        query("collector/state_prices"), {"execution_id": "run-1", "ended": Jsonb([ended])}
    )
    state = market.execute(
        "SELECT splits_checked_to IS NOT NULL, dividends_checked_to IS NOT NULL"
        " FROM financial_screener.asset_processing_state"
    ).fetchone()
    assert state == (known_still, known_still)
