"""The main job, from `kubectl apply` to indicators, on real Kubernetes, Postgres and the simulator.

Three runs one after another: a first one, the session after it, and the same again. What they did
is asked by many tests.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import linear_regression
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from screener_local.runs import Run, apply, ended, look, watch
from screener_local.simulator.companies import find_companies
from screener_local.system import LocalSystem

pytestmark = pytest.mark.e2e

FIRST, SECOND = date(2023, 9, 19), date(2023, 9, 20)
COMPANIES = ["AAPL", "AMZN", "GOOG", "META", "NFLX", "NVDA"]
TIMEOUT_S = 150


@dataclass(frozen=True)
class Story:
    """What the runs looked like when they had ended, and on the way."""

    system: LocalSystem
    owner: Connection[TupleRow]
    first: Run
    first_phases: list[str]
    first_indicators: Run
    companies: Run
    second: Run
    second_indicators: Run
    third: Run
    vendor_calls: dict[str, int]
    """By run: what the vendor counted meanwhile."""


def admin(system: LocalSystem, path: str, body: object = None) -> Any:
    verb = "GET" if body is None else "PUT"
    content = None if body is None else json.dumps(body)
    answer = httpx.request(
        verb, f"{system.simulator.root}/admin/{path}", content=content, timeout=10
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def vendor_calls(system: LocalSystem) -> int:
    """Calls of this GMT day, by the vendor's own count."""
    today = admin(system, "usage").get(f"{datetime.now(UTC):%Y-%m-%d}", {})
    return sum(endpoint["calls"] for endpoint in today.values())


def stand_at(system: LocalSystem, session: date) -> None:
    """The morning after: the session's splits and dividends are listed by then too."""
    admin(system, "clock", {"data": f"{session + timedelta(days=1)}T05:00:00Z"})


def run_to_its_end(system: LocalSystem, name: str, spec: dict[str, Any]) -> tuple[Run, list[str]]:
    """The run as it ended, and the phases that it was seen in."""
    apply(system.kubectl, "CollectionRun", name, spec)
    phases: list[str] = []
    run: Run = {}
    for run in watch(system.kubectl, "collectionrun", name, until=ended, timeout_s=TIMEOUT_S):
        phase = run.get("status", {}).get("phase")
        if phase and phase not in phases:
            phases.append(phase)
    return run, phases


def follower(system: LocalSystem, run: Run) -> Run:
    """The IndicatorRun of a run, as it ended."""
    name = run["status"]["indicatorRun"]
    *_, found = watch(system.kubectl, "indicatorrun", name, until=ended, timeout_s=TIMEOUT_S)
    return found


@pytest.fixture(scope="module")
def story(local_system: LocalSystem) -> Iterator[Story]:
    system = local_system
    xetra: dict[str, Any] = {
        "groups": [
            {"name": "us", "exchanges": ["US"], "symbols": COMPANIES},
            {"name": "xetra", "exchanges": ["XETRA"]},
        ],
        "operations": ["prices"],
        "history": {"from": "2022-06-01"},
    }
    calls = {}

    def collect(name: str, spec: dict[str, Any]) -> tuple[Run, list[str]]:
        before = vendor_calls(system)
        ended_run = run_to_its_end(system, name, spec)
        calls[name] = vendor_calls(system) - before
        return ended_run

    stand_at(system, FIRST)
    # Three requests an asset at the vendor's usual pace would be most of the test's time.
    admin(system, "account", {"minuteLimit": 20_000})
    try:
        first, phases = collect("main-first", xetra | {"asOf": str(FIRST)})
        first_indicators = follower(system, first)
        companies, _ = collect(
            "main-companies",
            {
                "groups": [{"name": "us", "exchanges": ["US"], "symbols": COMPANIES}],
                "history": {"from": "2022-06-01"},
                "asOf": str(FIRST),
                "indicators": False,
            },
        )
        stand_at(system, SECOND)
        second, _ = collect("main-second", xetra | {"asOf": str(SECOND)})
        second_indicators = follower(system, second)
        third, _ = collect("main-third", xetra | {"asOf": str(SECOND)})
        with psycopg.connect(system.postgres.owner_url, autocommit=True) as owner:
            owner.execute("SET search_path TO financial_screener")
            yield Story(
                system,
                owner,
                first,
                phases,
                first_indicators,
                companies,
                second,
                second_indicators,
                third,
                calls,
            )
    finally:
        admin(system, "clock", {"data": None})
        admin(system, "account", {"minuteLimit": 1000})


def condition(run: Run, kind: str) -> tuple[str, str]:
    (found,) = [each for each in run["status"]["conditions"] if each["type"] == kind]
    return found["status"], found["reason"]


def execution(story: Story, run: Run) -> dict[str, Any]:
    cursor = story.owner.execute(
        "SELECT * FROM process_executions WHERE execution_id = %s", (run["metadata"]["uid"],)
    )
    row = cursor.fetchone()
    assert row is not None and cursor.description is not None
    return {column.name: value for column, value in zip(cursor.description, row, strict=True)}


def test_the_first_run_succeeds(story: Story) -> None:
    status = story.first["status"]
    assert status["phase"] == "Succeeded", status["message"]
    assert status["observedGeneration"] == story.first["metadata"]["generation"]
    assert status["executionId"] == story.first["metadata"]["uid"]
    assert status["groupsSummary"] == "2/2 done"
    assert [group["state"] for group in status["groups"]] == ["Succeeded", "Succeeded"]
    assert [group["job"] for group in status["groups"]] == ["main-first-us-1", "main-first-xetra-1"]


def test_it_was_seen_on_its_way(story: Story) -> None:
    order = ["Pending", "Preflight", "Planned", "Running", "Finishing", "Succeeded"]
    assert [phase for phase in order if phase in story.first_phases] == story.first_phases
    assert {"Preflight", "Running", "Succeeded"} <= set(story.first_phases)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Succeeded", ("True", "Completed")),
        ("Failed", ("False", "Completed")),
        ("Reconciling", ("False", "Completed")),
        ("Stalled", ("False", "Completed")),
        ("QuotaAvailable", ("True", "CallsLeft")),
        ("Planned", ("True", "Planned")),
        ("Collected", ("True", "Completed")),
        ("IndicatorsTriggered", ("True", "Created")),
    ],
)
def test_its_conditions_tell_programs_the_same(
    story: Story, kind: str, expected: tuple[str, str]
) -> None:
    assert condition(story.first, kind) == expected


@pytest.mark.parametrize("which", ["first", "companies", "second", "third"])
def test_status_execution_and_details_agree(story: Story, which: str) -> None:
    run: Run = getattr(story, which)
    counts, row = run["status"]["counts"], execution(story, run)
    assert {
        "discovered": row["assets_discovered"],
        "succeeded": row["assets_succeeded"],
        "failed": row["assets_failed"],
        "skipped": row["assets_skipped"],
        "deferred": row["assets_deferred"],
    } == {name: counts[name] for name in counts if name != "planned"}
    by_asset = story.owner.execute(
        "SELECT CASE WHEN bool_or(status = 'failed') THEN 'failed'"
        " WHEN bool_or(status = 'deferred') THEN 'deferred'"
        " WHEN bool_or(status = 'success') THEN 'succeeded' ELSE 'skipped' END AS state"
        " FROM asset_processing_details WHERE execution_id = %s AND ticker IS NOT NULL"
        " GROUP BY ticker",
        (run["metadata"]["uid"],),
    ).fetchall()
    states = [state for (state,) in by_asset]
    for state in ("failed", "deferred", "succeeded", "skipped"):
        assert states.count(state) == counts[state], state
    assert len(states) == counts["discovered"]


@pytest.mark.parametrize(
    ("which", "name"),
    [
        ("first", "main-first"),
        ("companies", "main-companies"),
        ("second", "main-second"),
        ("third", "main-third"),
    ],
)
def test_a_runs_calls_are_the_vendors_count(story: Story, which: str, name: str) -> None:
    run: Run = getattr(story, which)
    (details,) = story.owner.execute(
        "SELECT sum(api_calls_used)::int FROM asset_processing_details WHERE execution_id = %s",
        (run["metadata"]["uid"],),
    ).fetchone() or (None,)
    assert (
        run["status"]["calls"]["used"]
        == execution(story, run)["api_calls_used"]
        == details
        == story.vendor_calls[name]
    )


def test_the_ledger_equals_the_vendors_counter(story: Story) -> None:
    today = datetime.now(UTC).date()
    assert story.owner.execute(
        "SELECT calls_used - calls_returned FROM api_daily_quota WHERE day = %s", (today,)
    ).fetchone() == (vendor_calls(story.system),)


def test_the_usage_log_equals_the_vendors_by_endpoint(story: Story) -> None:
    today = datetime.now(UTC).date()
    ours = dict(
        story.owner.execute(
            "SELECT endpoint, sum(calls)::int FROM api_usage_log WHERE day = %s GROUP BY endpoint",
            (today,),
        ).fetchall()
    )
    theirs = {
        endpoint: row["calls"] for endpoint, row in admin(story.system, "usage")[str(today)].items()
    }
    assert ours == theirs


@pytest.mark.skipif(find_companies() is None, reason="the package with their bars is not installed")
def test_the_companies_have_their_real_prices(story: Story) -> None:
    """Closing prices of record, NVDA's from before its 4:1 split of 2021 as far as history goes."""
    rows = story.owner.execute(
        "SELECT ticker, date::text, close FROM stock_prices JOIN assets ON assets.id = asset_id"
        " WHERE ticker IN ('AAPL.US', 'AMZN.US', 'NVDA.US')"
        " AND date IN ('2022-06-03', '2023-09-19') ORDER BY 1, 2"
    ).fetchall()
    assert rows == [
        ("AAPL.US", "2022-06-03", 145.38),
        ("AAPL.US", "2023-09-19", 179.07),
        ("AMZN.US", "2022-06-03", 2447.0),  # the last session before its 20:1 split
        ("AMZN.US", "2023-09-19", 137.63),
        ("NVDA.US", "2022-06-03", 187.2),
        ("NVDA.US", "2023-09-19", 435.2),
    ]


def test_no_split_shows_in_the_adjusted_series(story: Story) -> None:
    (jump,) = story.owner.execute(
        "SELECT max(abs(ln(adj_close / before))) FROM ("
        " SELECT adj_close, lag(adj_close) OVER (PARTITION BY asset_id ORDER BY date) AS before"
        " FROM stock_prices JOIN assets ON assets.id = asset_id"
        " WHERE ticker IN ('AMZN.US', 'GOOG.US') AND date BETWEEN '2022-06-01' AND '2022-08-01'"
        ") AS series"
    ).fetchone() or (None,)
    assert jump is not None and jump < 0.2


def test_bars_start_where_history_does(story: Story) -> None:
    assert story.owner.execute(
        "SELECT min(date) FROM stock_prices JOIN assets ON assets.id = asset_id"
        " WHERE ticker = 'AAPL.US'"
    ).fetchone() == (date(2022, 6, 1),)


def test_fundamentals_are_in_columns_and_whole(story: Story) -> None:
    rows = story.owner.execute(
        "SELECT ticker, name, sector, market_cap > 0, eodhd_financials IS NOT NULL FROM assets"
        " WHERE ticker = ANY (%s) ORDER BY ticker",
        ([f"{code}.US" for code in COMPANIES],),
    ).fetchall()
    assert [row[0] for row in rows] == [f"{code}.US" for code in COMPANIES]
    assert all(row[1] and row[2] and row[3] and row[4] for row in rows)


def test_the_second_days_exchange_came_by_bulk(story: Story) -> None:
    (_, xetra) = story.second["status"]["groups"]
    bulk = {row["operation"]: row for row in xetra["plan"] if row["way"] == "bulk"}
    assert {operation: (row["requests"], row["calls"]) for operation, row in bulk.items()} == {
        "prices_incremental": (1, 100),
        "splits": (1, 100),
        "dividends": (1, 100),
    }
    assert all(row["assets"] > 600 for row in bulk.values())
    assert story.second["status"]["calls"]["used"] < 400


def test_the_second_day_brought_one_session(story: Story) -> None:
    (assets,) = story.owner.execute(
        "SELECT count(*) FROM stock_prices JOIN assets ON assets.id = asset_id"
        " JOIN exchanges ON exchanges.id = exchange_id"
        " WHERE exchanges.code = 'XETRA' AND date = %s",
        (SECOND,),
    ).fetchone() or (0,)
    assert assets > 600
    assert assets <= story.second["status"]["counts"]["succeeded"]


def test_an_action_of_that_day_made_its_history_be_fetched_again(story: Story) -> None:
    pending = story.owner.execute(
        "SELECT count(*) FROM asset_processing_state WHERE needs_prices_reprocess"
    ).fetchone()
    rerouted = story.owner.execute(
        "SELECT count(*) FROM plan_fetches WHERE execution_id = %s AND kind = 'prices'"
        " AND asset_id IN (SELECT asset_id FROM corporate_actions WHERE ex_date = %s)",
        (story.second["metadata"]["uid"], SECOND),
    ).fetchone()
    actions = story.owner.execute(
        "SELECT count(DISTINCT asset_id) FROM corporate_actions WHERE ex_date = %s", (SECOND,)
    ).fetchone()
    assert pending == (0,)
    assert actions is not None and actions[0] > 0
    assert rerouted == actions


def test_doing_it_again_finds_nothing_due(story: Story) -> None:
    assert condition(story.third, "Succeeded") == ("True", "NothingDue")
    assert story.vendor_calls["main-third"] == 1  # its preflight's look at the counter


def test_what_failed_backs_off_until_the_next_day(story: Story) -> None:
    """The simulator has a few codes without any bar; they fail once, not in every run of a day."""
    codes = dict(
        story.owner.execute(
            "SELECT error_code, count(*) FROM plan_items WHERE execution_id = %s GROUP BY 1",
            (story.third["metadata"]["uid"],),
        ).fetchall()
    )
    # What failed, and assets whose newest bar was not there: it may come late.
    assert codes["backing_off"] >= story.first["status"]["counts"]["failed"] > 0
    assert codes.keys() == {"backing_off", "up_to_date"}


@pytest.mark.parametrize("which", ["first_indicators", "second_indicators"])
def test_the_indicators_follow_verified(story: Story, which: str) -> None:
    run: Run = getattr(story, which)
    owners = run["metadata"]["ownerReferences"]
    assert [owner["kind"] for owner in owners] == ["CollectionRun"]
    assert run["status"]["phase"] == "Succeeded", run["status"]["message"]
    assert condition(run, "Computed")[0] == "True"
    assert condition(run, "Verified")[0] == "True"
    assert run["status"]["counts"]["failed"] == 0


def test_indicators_are_of_the_last_bar_and_right(story: Story) -> None:
    """SMA, RSI and beta of AAPL, computed here from the stored bars by their definitions."""
    closes = [
        float(close)
        for (close,) in story.owner.execute(
            "SELECT adj_close FROM stock_prices JOIN assets ON assets.id = asset_id"
            " WHERE ticker = 'AAPL.US' AND date <= %s ORDER BY date",
            (SECOND,),
        )
    ]
    row = story.owner.execute(
        "SELECT calculation_date, sma_50, rsi_14, beta FROM technical_indicators"
        " JOIN assets ON assets.id = asset_id WHERE ticker = 'AAPL.US'"
        " ORDER BY calculation_date DESC LIMIT 1"
    ).fetchone()
    assert row is not None
    up = down = 0.0
    for n, (before, after) in enumerate(pairwise(closes)):
        alpha = 1 / 14 if n else 1.0
        up += alpha * (max(after - before, 0.0) - up)
        down += alpha * (max(before - after, 0.0) - down)
    assert row[0] == SECOND
    assert row[1] == pytest.approx(sum(closes[-50:]) / 50, rel=1e-9)
    assert row[2] == pytest.approx(100 - 100 / (1 + up / down), rel=1e-3)
    pairs = story.owner.execute(
        "SELECT bar.adj_close, market.adj_close FROM stock_prices AS bar"
        " JOIN assets ON assets.id = bar.asset_id AND assets.ticker = 'AAPL.US'"
        " JOIN exchanges ON exchanges.id = assets.exchange_id"
        " JOIN assets AS index ON index.ticker = exchanges.benchmark"
        " JOIN stock_prices AS market ON market.asset_id = index.id AND market.date = bar.date"
        " WHERE bar.date <= %s ORDER BY bar.date DESC LIMIT 253",
        (SECOND,),
    ).fetchall()
    ours, theirs = (
        [new / old - 1 for old, new in pairwise(closes)]
        for closes in zip(*pairs[::-1], strict=True)
    )
    assert row[3] == pytest.approx(linear_regression(theirs, ours).slope, rel=1e-6)


def test_every_asset_with_new_bars_has_current_indicators(story: Story) -> None:
    assert story.owner.execute(
        "SELECT count(*) FROM asset_processing_state JOIN assets ON assets.id = asset_id"
        " JOIN exchanges ON exchanges.id = assets.exchange_id WHERE exchanges.code = 'XETRA'"
        " AND prices_loaded AND (indicators_last_date IS DISTINCT FROM prices_last_date"
        "  OR indicators_calculated_at < prices_changed_at)"
    ).fetchone() == (0,)


def test_every_transition_is_one_event(story: Story) -> None:
    events = json.loads(
        story.system.kubectl.ask(
            "events", "get", "events.events.k8s.io", "--output=json",
            "--field-selector=regarding.name=main-first",
        )
    )["items"]  # fmt: skip
    reasons = [event["reason"] for event in events if event["regarding"]["kind"] == "CollectionRun"]
    assert sorted(reasons) == [
        "GroupStarted",
        "GroupStarted",
        "GroupSucceeded",
        "GroupSucceeded",
        "IndicatorRunCreated",
        "Planned",
        "Started",
        "Succeeded",
    ]


def test_a_groups_log_can_be_read_with_kubectl(story: Story) -> None:
    log = story.system.kubectl.ask("logs", "logs", "job/main-first-us-1")
    lines = [json.loads(line) for line in log.splitlines()]
    assert lines and all({"time", "level", "message"} <= line.keys() for line in lines)


def test_a_deleted_run_takes_its_jobs_and_indicator_run_with_it(story: Story) -> None:
    kubectl = story.system.kubectl
    kubectl.ask("delete", "delete", "colrun", "main-companies", "--wait=false")
    name = story.first["status"]["indicatorRun"]
    assert (
        look(kubectl, "indicatorrun", name)["metadata"]["ownerReferences"][0]["uid"]
        == (story.first["metadata"]["uid"])
    )
    kubectl.ask("gone", "wait", "--for=delete", "job/main-companies-us-1", "--timeout=20s")


def test_a_class_of_ta_that_a_run_names_is_in_the_screener(story: Story) -> None:
    spec = {
        "exchanges": ["US"],
        "symbols": COMPANIES,
        "extra": [{"name": "KAMAIndicator", "parameters": {"window": 20}, "as": "kama_20"}],
    }
    ends = []
    for name in ("a-class-named", "a-class-named-again"):
        apply(story.system.kubectl, "IndicatorRun", name, spec)
        *_, run = watch(
            story.system.kubectl, "indicatorrun", name, until=ended, timeout_s=TIMEOUT_S
        )
        ends.append((condition(run, "Succeeded"), run["status"]["counts"]["planned"]))
    # Their bars have not changed: they were due for what was named, and are no more.
    assert ends == [(("True", "Completed"), len(COMPANIES)), (("True", "NothingDue"), 0)]
    shown = story.owner.execute(
        "SELECT (extra -> 'kama_20' -> 'kama')::double precision / last_price FROM v_screener"
        " WHERE ticker = ANY (%s)",
        ([f"{code}.US" for code in COMPANIES],),
    ).fetchall()
    assert len(shown) == len(COMPANIES)
    assert all(0.5 < ratio < 2 for (ratio,) in shown)
