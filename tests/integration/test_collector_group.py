"""A group's Job on real Postgres against the vendor simulator."""

import json
import signal
from collections.abc import Iterator
from datetime import date, timedelta

import psycopg
import pytest
from collector_world import FIRST, LAST, PASSWORD, Owner, World, kill, login
from market import Asset, add_sessions
from simulator_fixture import DATA_MOMENT, Simulator

from screener_sql import query
from screener_sql.model import WORKER_LOCK

pytestmark = pytest.mark.integration

CODES = 34


@pytest.fixture(scope="module")
def codes(_simulator_process: Simulator) -> list[str]:
    """Codes of common stocks on SW that the simulator has bars of on the first and last day."""
    _simulator_process.reset()
    _simulator_process.clock(data=DATA_MOMENT)
    rows = _simulator_process.get("exchange-symbol-list/SW").json()
    traded = [
        {row["code"] for row in _simulator_process.get("eod-bulk-last-day/SW", date=day).json()}
        for day in (FIRST.isoformat(), "2023-09-18", LAST.isoformat())
    ]
    stocks = {row["Code"] for row in rows if row["Type"] == "Common Stock"}
    found = sorted(stocks.intersection(*traded))[:CODES]
    assert len(found) == CODES
    return found


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    simulator.clock(data=DATA_MOMENT)
    with login(owner) as url:
        yield World(owner, url, simulator)


def plan_all(world: World, codes: list[str], *, fundamentals: bool = False, **budget: int) -> None:
    """First histories, and fundamentals, of assets on SW."""
    world.open(**budget)  # type: ignore[arg-type]
    world.add(*(Asset(code, "SW") for code in codes))
    for code in codes:
        world.plan(f"{code}.SW")
        if fundamentals:
            world.plan(f"{code}.SW", "fundamentals")


def eod(code: str, **fault: object) -> dict[str, object]:
    """A fault of the simulator in the price history of one asset on SW."""
    return {"endpoint": "eod", "symbol": f"{code}.SW", **fault}


def bar(day: str, **change: object) -> dict[str, object]:
    """A good bar, but for what is changed."""
    good = {"open": 10, "high": 12.5, "low": "9.75", "close": 11, "adjusted_close": 11, "volume": 5}
    return {"date": day, **good, **change}


# -- the plain way -------------------------------------------------------------


def test_a_group_stores_bars_and_fundamentals_and_accounts_for_every_call(
    world: World, codes: list[str]
) -> None:
    plan_all(world, codes[:30], fundamentals=True)

    assert world.group().code == 0

    assert set(world.items().values()) == {("succeeded", None)}
    assert len(world.items()) == 60
    assert world.details() == {
        (f"{code}.SW", operation): ("success", calls)
        for code in codes[:30]
        for operation, calls in (("prices_bulk", 1), ("fundamentals_bulk", 10))
    }
    assert world.simulator.calls() == 30 * 11
    world.assert_ledgers_agree()
    world.assert_no_secret()
    states = world.rows(
        "SELECT state.*, (SELECT min(date) FROM stock_prices AS bar"
        "   WHERE bar.asset_id = state.asset_id) AS first_bar,"
        " (SELECT max(date) FROM stock_prices AS bar WHERE bar.asset_id = state.asset_id)"
        "   AS last_bar FROM asset_processing_state AS state"
    )
    for state in states:
        assert (state["prices_first_date"], state["prices_last_date"]) == (FIRST, LAST)
        assert (state["first_bar"], state["last_bar"]) == (FIRST, LAST)
        assert (state["prices_checked_from"], state["prices_checked_to"]) == (FIRST, LAST)
        assert state["prices_loaded"] and state["fundamentals_loaded"]
        assert state["prices_changed_at"] is not None
        # Its own day of the week, so that no day is a peak.
        after = state["next_fundamental_refresh"] - state["fundamentals_loaded_at"].date()
        assert timedelta(days=1) <= after <= timedelta(days=7)
    (slice_,) = world.rows("SELECT * FROM slices WHERE kind = 'group'")
    assert slice_["finished_at"] is not None and slice_["reason"] is None
    assert world.value("SELECT count(*) FROM assets WHERE sector IS NOT NULL") > 0


def test_the_stored_bars_are_those_that_the_vendor_has(world: World, codes: list[str]) -> None:
    plan_all(world, codes[:1])
    world.group()

    vendor = world.simulator.get(
        f"eod/{codes[0]}.SW", **{"from": FIRST.isoformat(), "to": LAST.isoformat()}
    ).json()
    assert [
        {key: str(value) if key == "date" else value for key, value in row.items()}
        for row in world.rows(
            "SELECT date, open, high, low, close, adj_close AS adjusted_close, volume"
            " FROM stock_prices ORDER BY date"
        )
    ] == vendor


def test_a_slice_that_has_ended_is_not_worked_on_again(world: World, codes: list[str]) -> None:
    plan_all(world, codes[:3])
    world.group()
    calls = world.simulator.calls()

    assert world.group().code == 0

    assert world.simulator.calls() == calls
    world.assert_ledgers_agree()


def test_fetching_the_same_history_again_changes_no_row(world: World, codes: list[str]) -> None:
    plan_all(world, codes[:2])
    world.group()
    changed_at = world.rows("SELECT prices_changed_at FROM asset_processing_state ORDER BY 1")
    world.open(execution_id="run-2")
    for code in codes[:2]:
        world.plan(f"{code}.SW", operation="prices_incremental")

    assert world.group().code == 0

    assert set(world.items().values()) == {("skipped", "no_trade")}
    assert world.rows("SELECT prices_changed_at FROM asset_processing_state ORDER BY 1") == (
        changed_at
    )
    world.assert_ledgers_agree()


def test_a_bar_that_is_not_there_yet_is_asked_for_again_another_day(
    world: World, codes: list[str]
) -> None:
    plan_all(world, codes[:1])
    add_sessions(world.owner, "SW", date(2023, 9, 1), LAST)
    body = [bar("2023-09-14"), bar("2023-09-15")]
    state = "SELECT prices_checked_to, prices_next_attempt_at FROM asset_processing_state"
    world.simulator.admin("faults", [eod(codes[0], body=json.dumps(body))])
    assert world.group().code == 0

    assert set(world.items().values()) == {("succeeded", None)}
    tomorrow = world.value("SELECT date_trunc('day', now(), 'UTC') + interval '1 day'")
    (known,) = world.rows(state)
    assert known == {"prices_checked_to": date(2023, 9, 18), "prices_next_attempt_at": tomorrow}

    body.append(bar(LAST.isoformat()))
    world.simulator.admin("faults", [eod(codes[0], body=json.dumps(body))])
    world.open(execution_id="run-2")
    world.plan(f"{codes[0]}.SW", operation="prices_incremental")
    assert world.group().code == 0
    (known,) = world.rows(state)
    assert known == {"prices_checked_to": LAST, "prices_next_attempt_at": None}


def test_nothing_planned_ends_at_once(world: World) -> None:
    world.open()
    assert world.group().code == 0
    assert world.simulator.calls() == 0
    assert world.value("SELECT finished_at FROM slices WHERE kind = 'group'") is not None


# -- killed, doubled, told to end ----------------------------------------------


def test_a_killed_worker_is_replaced_and_stored_work_is_not_fetched_again(
    world: World, codes: list[str]
) -> None:
    plan_all(world, codes, fundamentals=True)
    # Twelve histories come at once, the others only when it is dead.
    world.simulator.admin("faults", [{"endpoint": "eod", "skip": 12, "latency_s": 300}])
    first = world.start("group", "swiss")
    done = "SELECT count(*) FROM plan_fetches WHERE state = 'done'"
    world.until(lambda: world.value(done) >= 10, "ten fetches done")
    kill(first)
    world.simulator.admin("faults", {})
    stored = world.rows(
        "SELECT ticker, request.kind FROM plan_fetches AS request"
        " JOIN assets ON assets.id = asset_id WHERE state = 'done'"
    )
    lost = world.value("SELECT count(*) FROM plan_fetches WHERE state = 'claimed'")
    assert len(stored) < 2 * CODES and lost > 0

    assert world.group().code == 0

    assert set(world.items().values()) == {("succeeded", None)}
    assert len(world.details()) == 2 * CODES
    paths = [entry["path"].partition("?")[0] for entry in _log(world)]
    endpoints = {"prices": "eod", "fundamentals": "fundamentals"}
    for row in stored:
        assert paths.count(f"{endpoints[row['kind']]}/{row['ticker']}") == 1
    assert world.used() >= world.simulator.calls()


def _log(world: World) -> list[dict[str, str]]:
    found = world.simulator.admin("log")
    entries: list[dict[str, str]] = found["requests"] if isinstance(found, dict) else found
    return entries


def test_two_workers_at_once_share_the_work(world: World, codes: list[str]) -> None:
    plan_all(world, codes, fundamentals=True)
    claimers = "SELECT count(DISTINCT worker_id) FROM plan_fetches WHERE state = 'claimed'"
    # Neither begins to ask before both have claimed.
    with psycopg.connect(world.url) as locked:
        locked.execute("SELECT FROM financial_screener.execution_budgets FOR UPDATE")
        both = [world.start("group", "swiss") for _ in range(2)]
        world.until(lambda: world.value(claimers) == 2, "claims of both")
    assert [world.wait(process).code for process in both] == [0, 0]

    assert set(world.items().values()) == {("succeeded", None)}
    assert world.simulator.calls() == CODES * 11
    world.assert_ledgers_agree()
    shares = world.rows("SELECT worker_id, count(*) FROM plan_fetches GROUP BY worker_id")
    assert len(shares) == 2, shares


def test_told_to_end_it_keeps_what_it_has_and_gives_back_the_rest(
    world: World, codes: list[str]
) -> None:
    plan_all(world, codes, fundamentals=True)
    # Histories come at once, fundamentals only as it ends: what is under way then is kept.
    world.simulator.admin("faults", [{"endpoint": "fundamentals", "latency_s": 2.0}])
    process = world.start("group", "swiss")
    done = "SELECT count(*) FROM plan_fetches WHERE state = 'done'"
    world.until(lambda: world.value(done) >= 5, "five fetches done")
    process.send_signal(signal.SIGTERM)

    assert world.wait(process).code == 143

    states = {
        row["state"]: row["count"]
        for row in world.rows("SELECT state, count(*) FROM plan_fetches GROUP BY state")
    }
    assert set(states) == {"done", "planned"}
    assert world.value("SELECT count(*) FROM workers WHERE ended_at IS NULL") == 0
    world.assert_ledgers_agree()
    world.simulator.admin("faults", {})
    assert world.group().code == 0
    assert world.simulator.calls() == CODES * 11
    world.assert_ledgers_agree()


@pytest.mark.parametrize(
    "later_s", [pytest.param(0.0, id="at once"), pytest.param(2.0, id="one answer later")]
)
def test_what_another_worker_took_over_is_accounted_for(
    world: World, codes: list[str], later_s: float
) -> None:
    plan_all(world, codes[:3])
    # An answer that comes later is closed in another batch, and its fetch taken back before.
    world.simulator.admin("faults", [eod(codes[2], latency_s=later_s)])
    dead = world.value(
        "INSERT INTO workers (execution_id, slice, pod) VALUES ('run-1', 'swiss', 'x') RETURNING id"
    )
    claimed = "SELECT count(*) FROM plan_fetches WHERE state = 'claimed'"
    # While the run's budget is locked nothing is leased, so what is claimed is not asked for yet.
    with psycopg.connect(world.url) as locked:
        locked.execute("SELECT FROM financial_screener.execution_budgets FOR UPDATE")
        process = world.start("group", "swiss")
        world.until(lambda: world.value(claimed) == 3, "three claims")
        world.rows("UPDATE plan_fetches SET worker_id = %s RETURNING id", dead)

    assert world.wait(process).code == 0

    assert set(world.items().values()) == {("succeeded", None)}
    assert world.details()[None, "dropped_requests"] == ("success", 3)
    world.assert_ledgers_agree()


# -- answers that are not what they should be -----------------------------------

HTML = "<html><body>Maintenance of 6123abc456def789.12345678</body></html>"
OUTCOMES = [
    pytest.param(
        {"body": HTML, "content_type": "text/html"},
        "bad_payload",
        2,
        1,
        id="a web page with status 200",
    ),
    pytest.param(
        {"body": '{"Error":"Ticker Not Found."}'},
        "not_found",
        1,
        1,
        id="an error text with status 200",
    ),
    pytest.param({"body": "[]"}, "empty_history", 1, 1, id="an empty list"),
    pytest.param({"body": '[{"date":"2023-09-19","open":NaN}]'}, "bad_payload", 1, 1, id="NaN"),
    pytest.param({"body": ""}, "bad_payload", 2, 1, id="an empty body"),
    pytest.param({"body": "295.21"}, "bad_payload", 1, 1, id="a bare number"),
    pytest.param({"body": '[{"date":"2023-0'}, "bad_payload", 2, 1, id="a truncated body"),
    pytest.param({"body": '{"rows":[]}'}, "bad_payload", 1, 1, id="an object for a list"),
    pytest.param({"body": '{"Error":"No."}'}, "bad_payload", 2, 1, id="another error text"),
    pytest.param({"status": 422}, "bad_payload", 0, 1, id="a request that it refuses"),
    pytest.param({"status": 302}, "server_error", 2, 0, id="sent elsewhere"),
    pytest.param({"status": 204}, "server_error", 2, 0, id="no answer in its answer"),
    pytest.param({"status": 500}, "server_error", 0, 0, id="a server error for good"),
    pytest.param({"status": "cut"}, "network_error", 4, 0, id="a cut connection for good"),
    pytest.param({"cut_after": 0.5}, "network_error", 4, 0, id="half a body for good"),
]


@pytest.mark.parametrize(("fault", "error_code", "calls", "failures"), OUTCOMES)
def test_a_bad_answer_fails_its_item_and_no_other(
    world: World,
    codes: list[str],
    fault: dict[str, object],
    error_code: str,
    calls: int,
    failures: int,
) -> None:
    plan_all(world, codes[:3])
    world.simulator.admin("faults", [eod(codes[0], **fault)])

    ended = world.group()

    assert ended.code == 0
    assert world.items() == {
        (f"{codes[0]}.SW", "prices_bulk"): ("failed", error_code),
        (f"{codes[1]}.SW", "prices_bulk"): ("succeeded", None),
        (f"{codes[2]}.SW", "prices_bulk"): ("succeeded", None),
    }
    assert world.details()[f"{codes[0]}.SW", "prices_bulk"] == ("failed", calls)
    (state,) = world.rows(
        "SELECT * FROM asset_processing_state WHERE ticker = %s", f"{codes[0]}.SW"
    )
    assert (state["last_error_code"], state["consecutive_failures"]) == (error_code, failures)
    assert not state["prices_loaded"] and state["prices_checked_to"] is None
    assert (
        world.value("SELECT count(*) FROM stock_prices WHERE asset_id = %s", state["asset_id"]) == 0
    )
    world.assert_no_secret()
    world.assert_ledgers_agree()


def test_a_code_that_the_vendor_lacks_costs_one_call_and_counts_against_the_asset(
    world: World, codes: list[str]
) -> None:
    plan_all(world, [codes[0], "GONE"])
    world.plan("GONE.SW", "fundamentals")

    assert world.group().code == 0

    assert world.items()["GONE.SW", "prices_bulk"] == ("failed", "not_found")
    assert world.details()["GONE.SW", "fundamentals_bulk"] == ("failed", 1)
    (state,) = world.rows("SELECT * FROM asset_processing_state WHERE ticker = 'GONE.SW'")
    assert (state["prices_failures"], state["fundamentals_failures"]) == (1, 1)
    assert state["consecutive_failures"] == 1
    world.assert_ledgers_agree()


def test_failures_of_prices_and_fundamentals_are_counted_and_forgotten_apart(
    world: World, codes: list[str]
) -> None:
    ticker = f"{codes[0]}.SW"
    state = "SELECT * FROM asset_processing_state"
    plan_all(world, codes[:1])
    world.simulator.admin("faults", [eod(codes[0], body="[]")])
    for number in (1, 2):
        assert world.group().code == 0
        world.open(execution_id=f"again-{number}")
        world.plan(ticker)
    (before,) = world.rows(state)
    assert (before["prices_failures"], before["fundamentals_failures"]) == (2, 0)
    world.rows("DELETE FROM plan_items WHERE execution_id = 'again-2' RETURNING id")
    world.rows("DELETE FROM plan_fetches WHERE execution_id = 'again-2' RETURNING id")
    world.plan(ticker, "fundamentals")
    world.simulator.admin(
        "faults", [{"endpoint": "fundamentals", "body": '{"General": {"Code": "ELSE"}}'}]
    )
    assert world.group().code == 0

    (failed,) = world.rows(state)
    assert (failed["prices_failures"], failed["fundamentals_failures"]) == (2, 1)
    assert failed["consecutive_failures"] == 2
    # Its first failure of fundamentals: a day, whatever its prices did.
    today = world.value("SELECT date_trunc('day', now(), 'UTC')")
    assert failed["fundamentals_next_attempt_at"] == today + timedelta(days=1)
    assert failed["prices_next_attempt_at"] == today + timedelta(days=2)

    world.simulator.admin("faults", {})
    world.open(execution_id="prices-again")
    world.plan(ticker)
    assert world.group().code == 0
    (half,) = world.rows(state)
    assert (half["prices_failures"], half["fundamentals_failures"]) == (0, 1)
    assert half["last_error_code"] == "bad_payload"

    world.open(execution_id="fundamentals-again")
    world.plan(ticker, "fundamentals")
    assert world.group().code == 0
    (well,) = world.rows(state)
    assert well["consecutive_failures"] == 0
    assert well["last_error_code"] is well["last_error_message"] is well["last_error_at"] is None


def test_after_many_failures_it_is_tried_again_every_32_days(
    world: World, codes: list[str]
) -> None:
    plan_all(world, codes[:1], fundamentals=True)
    world.plan(f"{codes[0]}.SW", "splits")
    failing = ("prices", "fundamentals", "actions")
    for kind in failing:
        world.rows(f"UPDATE asset_processing_state SET {kind}_failures = 5 RETURNING 1")  # noqa: S608
    world.simulator.admin("faults", [{"body": '{"General": {"Code": "ELSE"}}'}])

    assert world.group().code == 0

    assert {state for state, _ in world.items().values()} == {"failed"}
    (state,) = world.rows("SELECT * FROM asset_processing_state")
    in_32_days = world.value("SELECT date_trunc('day', now(), 'UTC')") + timedelta(days=32)
    for kind in failing:
        assert (state[f"{kind}_failures"], state[f"{kind}_next_attempt_at"]) == (6, in_32_days)

    # The count goes on, the days do not.
    world.open(execution_id="run-2")
    world.plan(f"{codes[0]}.SW")
    assert world.group().code == 0
    (state,) = world.rows("SELECT * FROM asset_processing_state")
    assert (state["prices_failures"], state["prices_next_attempt_at"]) == (7, in_32_days)
    world.simulator.admin("faults", {})


def test_a_server_error_that_passes_is_tried_again(world: World, codes: list[str]) -> None:
    plan_all(world, codes[:2])
    world.simulator.admin("faults", [eod(codes[0], status=503, count=2)])

    assert world.group().code == 0

    assert set(world.items().values()) == {("succeeded", None)}
    world.assert_ledgers_agree()


def test_a_cut_answer_costs_what_it_may_have_cost(world: World, codes: list[str]) -> None:
    plan_all(world, codes[:2])
    world.simulator.admin("faults", [eod(codes[0], status="cut", count=1)])

    assert world.group().code == 0

    assert set(world.items().values()) == {("succeeded", None)}
    assert world.details()[f"{codes[0]}.SW", "prices_bulk"] == ("success", 2)
    world.assert_ledgers_agree()


def test_bars_that_break_a_rule_are_set_aside_and_the_others_stored(
    world: World, codes: list[str]
) -> None:
    plan_all(world, codes[:1])
    rows = [
        bar("2023-09-18"),
        bar("2023-09-19", high=10.5),
        bar("2023-09-15", low=-1),
        bar("2999-01-01"),
        bar("2023-09-14", volume=1.5),
        bar("2023-09-13", adjusted_close=None),
    ]
    world.simulator.admin("faults", [eod(codes[0], body=json.dumps(rows))])

    assert world.group().code == 0

    assert set(world.items().values()) == {("succeeded", None)}
    assert [row["date"] for row in world.rows("SELECT date FROM stock_prices")] == [
        date(2023, 9, 18)
    ]
    assert {row["date"]: row["rule"] for row in world.rows("SELECT * FROM quarantined_bars")} == {
        date(2023, 9, 19): "low_high_order",
        date(2023, 9, 15): "price_not_positive",
        date(2999, 1, 1): "date_future",
        date(2023, 9, 14): "volume_invalid",
        date(2023, 9, 13): "adjusted_close_invalid",
    }
    state = world.rows("SELECT * FROM asset_processing_state")[0]
    assert state["prices_last_date"] == date(2023, 9, 18)
    assert "5 bars are in quarantined_bars" in world.value("SELECT message FROM plan_items")

    # A later good answer releases them.
    world.simulator.admin("faults", {})
    world.open(execution_id="run-2")
    world.plan(f"{codes[0]}.SW", operation="prices_incremental")
    assert world.group().code == 0
    assert world.value("SELECT count(*) FROM quarantined_bars WHERE released_at IS NOT NULL") == 4
    world.assert_ledgers_agree()


def test_a_history_with_impossible_bars_is_doubted_until_they_came_twice(
    world: World, codes: list[str]
) -> None:
    plan_all(world, codes[:1])

    def doubted_after(run: str, *rows: dict[str, object], last: date = LAST) -> bool:
        if run != world.execution_id:
            world.open(execution_id=run)
            world.plan(f"{codes[0]}.SW", operation="prices_incremental", last=last)
        world.simulator.admin("faults", [eod(codes[0], body=json.dumps(rows))])
        assert world.group().code == 0
        return bool(world.value("SELECT prices_doubted FROM asset_processing_state"))

    good, bad = bar("2023-09-12"), bar("2023-09-13", low=-1)
    assert doubted_after("run-1", good, bad)
    assert doubted_after("run-2", good, bar("2023-09-13", low=-2)), "another one, not the same"
    assert not doubted_after("run-3", good, bar("2023-09-13", low=-2)), "the same came twice"
    # And what is always bad is not asked for by itself for ever.
    assert doubted_after("run-4", good, bad, bar("2023-09-14", low=-1))
    new = bar("2023-09-20", low=-1)
    assert not doubted_after(
        "run-5", good, bad, bar("2023-09-14", low=-1), new, last=date(2023, 9, 20)
    )
    # A good answer ends a doubt.
    assert doubted_after("run-6", good, bar("2023-09-15", close=None))
    assert not doubted_after("run-7", good, bar("2023-09-15"))


@pytest.mark.parametrize(
    ("adjusted", "left"),
    [
        pytest.param(2.5, ["2023-09-12", "2023-09-14"], id="the others are adjusted anew"),
        pytest.param(10, ["2023-09-12", "2023-09-13", "2023-09-14"], id="the others are the same"),
    ],
)
def test_a_stored_bar_that_comes_back_impossible_stays_while_the_others_do(
    world: World, codes: list[str], adjusted: float, left: list[str]
) -> None:
    plan_all(world, codes[:1])
    days = ("2023-09-12", "2023-09-13", "2023-09-14")
    prices = {"open": 10, "high": 10, "low": 10, "close": 10}
    good = [bar(day, **prices, adjusted_close=10) for day in days]
    world.simulator.admin("faults", [eod(codes[0], body=json.dumps(good))])
    assert world.group().code == 0
    assert world.value("SELECT count(*) FROM stock_prices") == 3

    later = [bar(day, **prices, adjusted_close=adjusted) for day in days]
    later[1]["close"] = None
    world.open(execution_id="run-2")
    world.plan(f"{codes[0]}.SW", operation="prices_incremental")
    world.simulator.admin("faults", [eod(codes[0], body=json.dumps(later))])
    assert world.group().code == 0

    stored = world.rows("SELECT date::text, adj_close FROM stock_prices ORDER BY date")
    assert [row["date"] for row in stored] == left
    assert {row["adj_close"] for row in stored} == {adjusted}
    assert world.value("SELECT count(*) FROM quarantined_bars WHERE released_at IS NULL") == 1


def test_a_history_of_bad_bars_alone_is_a_failure(world: World, codes: list[str]) -> None:
    plan_all(world, codes[:1])
    body = json.dumps([bar("2023-09-18", open=0), bar("2023-09-19", close="x")])
    world.simulator.admin("faults", [eod(codes[0], body=body)])

    assert world.group().code == 0

    assert set(world.items().values()) == {("failed", "bad_data")}
    assert world.value("SELECT count(*) FROM quarantined_bars") == 2
    (quality,) = world.rows(
        "SELECT * FROM quality_report(%s) WHERE rule IS NULL", world.execution_id
    )
    assert (quality["bars_checked"], quality["quarantined"]) == (2, 2)
    assert world.value("SELECT prices_loaded FROM asset_processing_state") is False


def test_fundamentals_of_another_asset_are_refused(world: World, codes: list[str]) -> None:
    world.open()
    world.add(Asset(codes[0], "SW"))
    world.plan(f"{codes[0]}.SW", "fundamentals")
    world.simulator.admin("faults", [{"body": '{"General": {"Code": "ELSE"}}', "count": 1}])

    assert world.group().code == 0

    assert set(world.items().values()) == {("failed", "bad_payload")}
    world.assert_ledgers_agree()


# -- quota ----------------------------------------------------------------------


def test_the_vendor_says_that_the_day_is_spent(world: World, codes: list[str]) -> None:
    plan_all(world, codes[:10], fundamentals=True)
    world.simulator.admin("account", {"dailyLimit": 25})

    assert world.group().code == 0

    assert {("deferred", "daily_limit"), ("succeeded", None)} == set(world.items().values())
    assert len(world.details()) == 20
    served = [calls for status, calls in world.details().values() if status == "success"]
    # In whatever order they came to the vendor, it refused first where ten calls did not fit.
    assert sum(served) == world.simulator.calls() and 15 < sum(served) <= 25
    (slice_,) = world.rows("SELECT * FROM slices WHERE kind = 'group'")
    assert slice_["reason"] == "DailyLimitReached" and slice_["finished_at"] is not None
    assert world.value("SELECT spent FROM api_daily_quota")
    # When they should come is told as a plan tells it.
    due = world.rows("SELECT DISTINCT due_on FROM plan_items WHERE state = 'deferred'")
    assert due == world.rows("SELECT day + 1 AS due_on FROM api_daily_quota")
    world.assert_ledgers_agree()


@pytest.mark.parametrize("limit", [0, 1, 7, 10, 24])
def test_our_own_daily_limit_is_never_exceeded(world: World, codes: list[str], limit: int) -> None:
    plan_all(world, codes[:10], fundamentals=True)

    assert world.group(EODHD_DAILY_LIMIT=str(limit)).code == 0

    succeeded = sum(state == "succeeded" for state, _ in world.items().values())
    # One call a history, and ten for one fundamentals.
    assert succeeded == (limit if limit <= 10 else 11)
    assert set(world.items().values()) <= {("deferred", "daily_limit"), ("succeeded", None)}
    assert world.simulator.calls() <= limit
    assert world.value("SELECT reason FROM slices WHERE kind = 'group'") == "DailyLimitReached"
    world.assert_ledgers_agree()


def test_two_workers_together_keep_the_daily_limit(world: World, codes: list[str]) -> None:
    plan_all(world, codes, fundamentals=True)
    world.simulator.admin("faults", [{"latency_s": 0.05}])

    both = [world.start("group", "swiss", EODHD_DAILY_LIMIT="90") for _ in range(2)]
    assert [world.wait(process).code for process in both] == [0, 0]

    assert world.simulator.calls() <= 90
    assert {state for state, _ in world.items().values()} == {"succeeded", "deferred"}
    world.assert_ledgers_agree()


def test_what_is_too_dear_for_the_calls_left_keeps_nothing_cheaper_back(
    world: World, codes: list[str]
) -> None:
    world.open()
    world.add(*(Asset(code, "SW") for code in codes[:8]))
    world.plan_bulk("SW", [f"{code}.SW" for code in codes[:2]], LAST)
    for code in codes[2:8]:
        world.plan(f"{code}.SW")
        world.plan(f"{code}.SW", "fundamentals")

    assert world.group(EODHD_DAILY_LIMIT="60").code == 0

    # Of a hundred calls a bulk day, ten a company and one a history: 6 and 50 of 60.
    ends = world.items()
    assert {ends[f"{code}.SW", "prices_bulk"] for code in codes[2:8]} == {("succeeded", None)}
    companies = [ends[f"{code}.SW", "fundamentals_bulk"] for code in codes[2:8]]
    assert sorted(companies) == [("deferred", "daily_limit")] + [("succeeded", None)] * 5
    assert {ends[f"{code}.SW", "prices_incremental"] for code in codes[:2]} == {
        ("deferred", "daily_limit")
    }
    assert world.value("SELECT reason FROM slices WHERE kind = 'group'") == "DailyLimitReached"
    assert world.simulator.calls() == 56
    world.assert_ledgers_agree()


@pytest.mark.parametrize("other", ["gives them back", "dies"])
def test_calls_that_another_worker_holds_are_waited_for(
    world: World, codes: list[str], other: str
) -> None:
    plan_all(world, codes[:10])
    holder = world.value(
        "INSERT INTO workers (execution_id, slice, pod) VALUES ('run-1', 'x', 'x') RETURNING id"
    )
    with psycopg.connect(world.url, autocommit=True) as alive:
        alive.execute("SELECT pg_advisory_lock(%s, %s)", (WORKER_LOCK, holder))
        wanted = {"needed": 95, "wanted": 95, "requests": 0, "daily_limit": 100}
        got = alive.execute(
            query("collector/lease"),
            {"execution_id": "run-1", "worker_id": holder, "for_reading": False, "new_day": False}
            | wanted,
        ).fetchone()
        assert got is not None and got[0] == "leased"
        process = world.start("group", "swiss", EODHD_DAILY_LIMIT="100")
        done = "SELECT count(*) FROM plan_fetches WHERE state = 'done'"
        world.until(lambda: world.value(done) == 5, "as many fetches as there are calls")
        if other == "gives them back":
            alive.execute("SELECT FROM financial_screener.execution_budgets FOR UPDATE")
            alive.execute(
                query("collector/return_leases"), {"ids": [got[1]], "spent": [0], "unknown": [0]}
            )
            assert world.wait(process).code == 0
    assert world.wait(process).code == 0

    ends = list(world.items().values())
    assert ends.count(("succeeded", None)) == (10 if other == "gives them back" else 5)
    assert ends.count(("deferred", "daily_limit")) == (0 if other == "gives them back" else 5)
    assert world.value("SELECT reason FROM slices WHERE kind = 'group'") == (
        None if other == "gives them back" else "DailyLimitReached"
    )


def test_a_run_uses_no_more_than_it_may(world: World, codes: list[str]) -> None:
    plan_all(world, codes[:10], fundamentals=True, max_calls=21)

    assert world.group().code == 0

    assert world.simulator.calls() <= 21
    assert set(world.items().values()) == {("deferred", "run_limit"), ("succeeded", None)}
    (slice_,) = world.rows("SELECT * FROM slices WHERE kind = 'group'")
    assert slice_["reason"] is None and slice_["finished_at"] is not None
    world.assert_ledgers_agree()


def test_a_run_leaves_of_the_day_what_it_must(world: World, codes: list[str]) -> None:
    plan_all(world, codes[:10], keep_calls=95)

    assert world.group(EODHD_DAILY_LIMIT="100").code == 0

    assert world.simulator.calls() == 5
    assert (
        sorted(world.items().values())
        == [("deferred", "daily_limit")] * 5 + [("succeeded", None)] * 5
    )
    world.assert_ledgers_agree()


def test_what_the_minute_allows_is_learnt_and_kept(world: World, codes: list[str]) -> None:
    plan_all(world, codes[:3])
    world.simulator.admin("account", {"minuteLimit": 1200})
    world.owner.execute("UPDATE financial_screener.vendor_account SET daily_limit = 9")

    assert world.group().code == 0

    assert world.value("SELECT requests_per_minute FROM vendor_account") == 1200
    # One slot in forty is for clocks that differ.
    assert world.value("SELECT max(requests_limit) FROM api_request_minutes") == 1170
    assert world.value("SELECT sum(requests_used) FROM api_request_minutes") >= 3


# -- refusals --------------------------------------------------------------------


def test_a_refused_token_ends_the_slice(world: World, codes: list[str]) -> None:
    plan_all(world, codes[:10])

    ended = world.group(EODHD_API_TOKEN="not-the-token")

    assert ended.code == 10
    assert "Secret" in ended.messages[-1]
    (slice_,) = world.rows("SELECT * FROM slices WHERE kind = 'group'")
    assert slice_["reason"] == "TokenRefused" and slice_["finished_at"] is not None
    assert set(world.items().values()) == {("planned", None)}
    assert world.value("SELECT count(*) FROM plan_fetches WHERE state = 'claimed'") == 0
    world.assert_ledgers_agree()
    assert world.group().code == 10  # ended is ended


def test_an_endpoint_that_the_plan_lacks_ends_the_slice_after_what_it_has(
    world: World, codes: list[str]
) -> None:
    plan_all(world, codes[:4], fundamentals=True)
    world.simulator.admin("account", {"plan": "eod"})

    ended = world.group()

    assert ended.code == 11
    (slice_,) = world.rows("SELECT * FROM slices WHERE kind = 'group'")
    assert slice_["reason"] == "EndpointNotInPlan" and "fundamentals" in slice_["message"]
    assert sum(item == ("succeeded", None) for item in world.items().values()) == 4
    plan = world.rows("SELECT endpoint, in_plan FROM vendor_endpoints ORDER BY endpoint")
    assert plan == [
        {"endpoint": "eod", "in_plan": True},
        {"endpoint": "fundamentals", "in_plan": False},
    ]
    world.assert_ledgers_agree()


@pytest.mark.parametrize(("times", "code"), [(1, 0), (2, 11)])
def test_a_single_refusal_is_asked_for_again_before_it_is_believed(
    world: World, codes: list[str], times: int, code: int
) -> None:
    plan_all(world, codes[:1])
    world.simulator.admin("faults", [{"endpoint": "eod", "status": 403, "count": times}])

    assert world.group().code == code

    assert [entry["status"] for entry in _log(world)] == [403] * times + [200] * (2 - times)
    assert world.value("SELECT reason FROM slices WHERE kind = 'group'") == (
        "EndpointNotInPlan" if code else None
    )
    world.assert_ledgers_agree()


def test_with_the_demo_plan_a_symbol_outside_it_fails_alone(world: World) -> None:
    world.open()
    world.add(Asset("AAPL", "US"), Asset("MSFT", "US"), Asset("IBM", "US"))
    for code in ("IBM", "AAPL", "MSFT"):
        world.plan(f"{code}.US")
        world.plan(f"{code}.US", "fundamentals")
    world.simulator.admin("account", {"plan": "demo"})

    assert world.group().code == 0

    assert {item for item, end in world.items().items() if end == ("succeeded", None)} == {
        (f"{code}.US", operation)
        for code in ("AAPL", "MSFT")
        for operation in ("prices_bulk", "fundamentals_bulk")
    }
    assert world.items()["IBM.US", "prices_bulk"] == ("failed", "not_in_plan")
    world.assert_ledgers_agree()


# -- the vendor away ---------------------------------------------------------------


def test_a_vendor_that_is_away_is_waited_for_and_nothing_fails(
    world: World, codes: list[str]
) -> None:
    plan_all(world, codes[:5])
    world.simulator.admin("faults", [{"status": 503}])
    process = world.start("group", "swiss")
    waiting = "SELECT waiting_reason FROM slices WHERE kind = 'group'"
    world.until(lambda: world.value(waiting) == "VendorUnreachable", "waiting for the vendor")
    assert world.value("SELECT waiting_since FROM slices WHERE kind = 'group'") is not None
    world.simulator.admin("faults", {})

    assert world.wait(process).code == 0

    assert set(world.items().values()) == {("succeeded", None)}
    assert world.value(waiting) is None
    world.assert_ledgers_agree()


def test_a_vendor_that_cannot_be_reached_is_waited_for(world: World, codes: list[str]) -> None:
    plan_all(world, codes[:2])
    process = world.start("group", "swiss", EODHD_BASE_URL="http://127.0.0.1:9/api")
    waiting = "SELECT waiting_reason FROM slices WHERE kind = 'group'"
    world.until(lambda: world.value(waiting) == "VendorUnreachable", "waiting for the vendor")
    process.send_signal(signal.SIGTERM)

    assert world.wait(process).code == 143

    assert world.used() == 0
    world.assert_ledgers_agree()


# -- settings and the database -------------------------------------------------------


def test_an_unknown_slice_is_a_bad_setting(world: World) -> None:
    world.open()
    ended = world.group("nobody")
    assert ended.code == 2
    assert "no slice nobody" in ended.messages[-1]


def test_a_lost_lock_stops_the_worker(world: World, codes: list[str]) -> None:
    plan_all(world, codes[:20])
    world.simulator.admin("faults", [{"latency_s": 300}])
    process = world.start("group", "swiss")
    world.until(
        lambda: world.value("SELECT count(*) FROM plan_fetches WHERE state = 'claimed'"), "claims"
    )
    with psycopg.connect(world.url) as itself:  # a login may end its own sessions
        itself.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'screener-collect lock' AND datname = current_database()"
        )

    assert world.wait(process).code == 21

    world.simulator.admin("faults", {})
    assert world.group().code == 0
    assert set(world.items().values()) == {("succeeded", None)}


def test_a_malformed_connection_string_is_a_bad_setting(world: World) -> None:
    world.open()
    ended = world.group(DATABASE_URL=f"postgres, and {PASSWORD} is the password")
    assert ended.code == 2
    assert "DATABASE_URL" in ended.messages[-1]
