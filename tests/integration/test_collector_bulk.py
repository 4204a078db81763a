"""Bulk days: bars, actions and their consequences, refusals; real Postgres and the simulator."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from collector_world import FIRST, Owner, World, login
from market import Asset, add_sessions
from simulator_fixture import DATA_MOMENT, Simulator

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Day:
    """A session on SW on which the asset `payer` has a dividend and `others` only trade."""

    before: date
    session: date
    payer: str
    others: list[str]


@pytest.fixture(scope="module")
def day(_simulator_process: Simulator) -> Day:
    vendor = _simulator_process
    vendor.reset()
    vendor.clock(data=DATA_MOMENT)

    def bulk(session: date, kind: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = vendor.get(
            "eod-bulk-last-day/SW", date=session.isoformat(), type=kind
        ).json()
        return [row for row in rows if row["date"] == session.isoformat()]

    listed = vendor.get("exchange-symbol-list/SW").json()
    stocks = {row["Code"] for row in listed if row["Type"] == "Common Stock"}
    started = {row["code"] for row in bulk(FIRST, "eod")}
    session, later = date(2023, 9, 14), {row["code"] for row in bulk(date(2023, 9, 15), "eod")}
    while True:
        codes = {row["code"] for row in bulk(session, "eod")} & stocks & started & later
        paying = {row["code"] for row in bulk(session, "dividends")} & codes
        splitting = {row["code"] for row in bulk(session, "splits")}
        before = session - timedelta(days=1)
        traded = {row["code"] for row in bulk(before, "eod")}
        if paying - splitting and traded:
            payer = min(paying - splitting)
            quiet = sorted((codes & traded) - paying - splitting)
            return Day(before, session, payer, quiet[:5])
        later = {row["code"] for row in bulk(session, "eod")} or later
        session -= timedelta(days=1)


@pytest.fixture
def world(owner: Owner, simulator: Simulator, day: Day) -> Iterator[World]:
    """Every asset's history is stored up to the session before."""
    simulator.clock(data=DATA_MOMENT)
    with login(owner) as url:
        world = World(owner, url, simulator)
        world.open(execution_id="run-0")
        world.add(*(Asset(code, "SW") for code in (day.payer, *day.others)))
        world.rows("UPDATE assets SET currency = 'CHF' RETURNING id")
        for code in (day.payer, *day.others):
            world.plan(f"{code}.SW", first=FIRST, last=day.before)
        assert world.group().code == 0
        world.open(execution_id="run-1")
        yield world


def tickers(day: Day) -> list[str]:
    return [f"{code}.SW" for code in (day.payer, *day.others)]


def unadjusted(world: World, day: Day) -> None:
    """The payer's stored history as the vendor had it before it knew of the dividend."""
    world.rows(
        "UPDATE stock_prices SET adj_close = close WHERE asset_id = %s RETURNING date",
        world.asset_id(f"{day.payer}.SW"),
    )


def states(world: World) -> dict[str, dict[str, Any]]:
    return {row["ticker"]: row for row in world.rows("SELECT * FROM asset_processing_state")}


def test_a_bulk_day_brings_every_asset_its_bar_and_a_payer_its_whole_history(
    world: World, day: Day
) -> None:
    unadjusted(world, day)
    world.plan_bulk("SW", tickers(day), day.session)
    changed = {ticker: row["prices_changed_at"] for ticker, row in states(world).items()}

    assert world.group().code == 0

    assert set(world.items().values()) == {("succeeded", None)}
    assert {key: value for key, value in world.details().items() if key[0] is None} == {
        (None, "bulk_dividends"): ("success", 100),
        (None, "bulk_splits"): ("success", 100),
        (None, "bulk_prices"): ("success", 100),
    }
    # The payer went by a request of its own, so that what came before is adjusted too.
    assert world.details()[f"{day.payer}.SW", "prices_incremental"] == ("success", 1)
    assert (
        world.value(
            "SELECT way FROM plan_items JOIN assets ON assets.id = asset_id"
            " WHERE code = %s AND execution_id = 'run-1'",
            day.payer,
        )
        == "asset"
    )
    action = world.rows(
        "SELECT * FROM corporate_actions WHERE asset_id = %s", world.asset_id(f"{day.payer}.SW")
    )[0]
    assert (action["kind"], action["ex_date"]) == ("dividend", day.session)
    assert action["dividend"] > 0 and action["confirmed_at"] is not None
    for ticker, state in states(world).items():
        assert state["prices_last_date"] == state["prices_checked_to"] == day.session
        assert not state["needs_prices_reprocess"]
        assert state["prices_changed_at"] > changed[ticker]
    vendor = world.simulator.get(
        f"eod/{day.payer}.SW", **{"from": FIRST.isoformat(), "to": day.session.isoformat()}
    ).json()
    assert [bar["adjusted_close"] for bar in vendor] == [
        row["adj_close"]
        for row in world.rows(
            "SELECT adj_close FROM stock_prices WHERE asset_id = %s ORDER BY date",
            world.asset_id(f"{day.payer}.SW"),
        )
    ]


def test_ledgers_agree_after_a_bulk_day(world: World, day: Day) -> None:
    unadjusted(world, day)
    world.plan_bulk("SW", tickers(day), day.session)
    assert world.group().code == 0
    world.assert_ledgers_agree()
    assert (
        world.value(
            "SELECT sum(api_calls_used) FROM asset_processing_details WHERE execution_id = 'run-1'"
        )
        == 301
    )


def test_an_action_that_the_stored_history_shows_costs_no_request(world: World, day: Day) -> None:
    world.plan_bulk("SW", tickers(day), day.session)

    assert world.group().code == 0

    assert world.details()[f"{day.payer}.SW", "prices_incremental"] == ("success", 0)
    assert not states(world)[f"{day.payer}.SW"]["needs_prices_reprocess"]
    assert world.value("SELECT count(*) FROM corporate_actions WHERE confirmed_at IS NULL") == 0
    world.assert_ledgers_agree()


def test_an_action_of_an_asset_without_an_item_has_it_fetched_again_in_the_run(
    world: World, day: Day
) -> None:
    ticker = f"{day.payer}.SW"
    unadjusted(world, day)
    world.rows(
        "INSERT INTO stock_prices SELECT asset_id, %s, open, high, low, close, close, volume"
        " FROM stock_prices WHERE asset_id = %s AND date = %s RETURNING asset_id",
        day.session,
        world.asset_id(ticker),
        day.before,
    )
    world.rows(
        "UPDATE asset_processing_state SET prices_last_date = %s, prices_checked_to = %s"
        " WHERE ticker = %s RETURNING asset_id",
        day.session,
        day.session,
        ticker,
    )
    world.plan_bulk("SW", [f"{code}.SW" for code in day.others], day.session)

    assert world.group().code == 0

    assert world.details()[None, "action_refetch"] == ("success", 1)
    assert not states(world)[ticker]["needs_prices_reprocess"]
    assert world.value("SELECT count(*) FROM corporate_actions WHERE confirmed_at IS NULL") == 0
    assert (ticker, "action_refetch") not in world.items()
    world.assert_ledgers_agree()


def test_an_action_seen_before_does_not_make_its_asset_due_again(world: World, day: Day) -> None:
    world.plan_bulk("SW", tickers(day), day.session)
    world.group()
    world.open(execution_id="run-2")
    world.plan_bulk("SW", tickers(day), day.session)

    assert world.group().code == 0

    assert world.value(
        "SELECT count(*) FROM plan_items WHERE execution_id = 'run-2' AND way = 'bulk'"
    ) == len(tickers(day))
    assert not any(state["needs_prices_reprocess"] for state in states(world).values())
    assert set(world.items().values()) == {("succeeded", None)}


def test_an_asset_without_a_bar_did_not_trade(world: World, day: Day) -> None:
    world.add(Asset("QUIET", "SW", checked_to=day.before))
    world.plan_bulk("SW", [*tickers(day), "QUIET.SW"], day.session)

    assert world.group().code == 0

    assert world.items()["QUIET.SW", "prices_incremental"] == ("skipped", "no_trade")
    state = states(world)["QUIET.SW"]
    assert state["prices_last_date"] is None
    # Its bar may come late: another day asks for it again, not the next run of this one.
    assert state["prices_checked_to"] == day.before
    tomorrow = world.value("SELECT date_trunc('day', now(), 'UTC') + interval '1 day'")
    assert state["prices_next_attempt_at"] == tomorrow
    assert states(world)[f"{day.others[0]}.SW"]["prices_next_attempt_at"] is None
    world.assert_ledgers_agree()


def test_a_bar_that_comes_late_is_stored_by_a_later_run(world: World, day: Day) -> None:
    others = [f"{code}.SW" for code in day.others]
    rows = json.loads(bulk_body(day))
    for execution_id, body in (("run-2", rows[1:]), ("run-3", rows)):
        world.open(execution_id=execution_id)
        world.plan_bulk("SW", others, day.session)
        only_prices(world)
        world.simulator.admin(
            "faults", [{"endpoint": "eod-bulk-last-day", "body": json.dumps(body)}]
        )
        assert world.group().code == 0
        state = states(world)[others[0]]
        came = execution_id == "run-3"
        assert state["prices_checked_to"] == (day.session if came else day.before)
        assert (state["prices_next_attempt_at"] is None) == came
    assert state["prices_last_date"] == day.session


def bulk_body(day: Day, **changes: object) -> str:
    rows = [
        {
            "code": code,
            "exchange_short_name": "SW",
            "date": day.session.isoformat(),
            "open": 333,
            "high": "342.46",
            "low": 327,
            "close": 341.5,
            "adjusted_close": 341.5,
            "volume": 738,
        }
        for code in day.others
    ]
    rows[0] |= changes
    return json.dumps(rows)


def only_prices(world: World) -> None:
    """Leaves of the plan's bulk fetches the prices alone."""
    world.rows(
        "DELETE FROM plan_fetches WHERE kind IN ('bulk_splits', 'bulk_dividends') RETURNING id"
    )


def test_a_bulk_row_of_another_day_is_refused(world: World, day: Day) -> None:
    others = [f"{code}.SW" for code in day.others]
    world.plan_bulk("SW", others, day.session)
    only_prices(world)
    body = bulk_body(day, date=day.before.isoformat(), close=1, open=1, low=1)
    world.simulator.admin("faults", [{"endpoint": "eod-bulk-last-day", "body": body}])

    assert world.group().code == 0

    assert world.items()[others[0], "prices_incremental"] == ("skipped", "no_trade")
    assert world.items()[others[1], "prices_incremental"] == ("succeeded", None)
    assert world.value("SELECT count(*) FROM stock_prices WHERE close = 1") == 0
    message = world.value("SELECT message FROM plan_fetches WHERE kind = 'bulk_prices'")
    assert message.startswith("1 rows of another day")


@pytest.mark.parametrize(
    ("body", "ended"),
    [
        pytest.param("[]", ("deferred", "not_published"), id="an empty list"),
        pytest.param("echo", ("deferred", "not_published"), id="the session before, echoed"),
        pytest.param('{"Error":"x"}', ("failed", "bad_payload"), id="an error text"),
    ],
)
def test_a_bulk_day_without_a_bar_of_the_session_is_no_success(
    world: World, day: Day, body: str, ended: tuple[str, str]
) -> None:
    others = [f"{code}.SW" for code in day.others]
    world.plan_bulk("SW", others, day.session)
    only_prices(world)
    if body == "echo":
        body = bulk_body(day).replace(day.session.isoformat(), day.before.isoformat())
    world.simulator.admin("faults", [{"endpoint": "eod-bulk-last-day", "body": body}])

    assert world.group().code == 0

    assert set(world.items().values()) == {ended}
    for state in states(world).values():
        assert state["prices_checked_to"] == day.before
        assert state["consecutive_failures"] == 0
    world.assert_ledgers_agree()


def test_a_bad_bar_of_a_bulk_day_is_set_aside_and_its_asset_failed(world: World, day: Day) -> None:
    others = [f"{code}.SW" for code in day.others]
    world.plan_bulk("SW", others, day.session)
    only_prices(world)
    world.simulator.admin(
        "faults", [{"endpoint": "eod-bulk-last-day", "body": bulk_body(day, high=100)}]
    )

    assert world.group().code == 0

    assert world.items()[others[0], "prices_incremental"] == ("failed", "bad_data")
    assert world.items()[others[1], "prices_incremental"] == ("succeeded", None)
    (bad,) = world.rows("SELECT * FROM quarantined_bars")
    assert (bad["date"], bad["rule"]) == (day.session, "low_high_order")


def test_a_bad_bar_among_several_bulk_days_is_told(world: World, day: Day) -> None:
    others = [f"{code}.SW" for code in day.others]
    world.plan_bulk("SW", others, day.before, day.session)
    only_prices(world)
    world.rows("DELETE FROM stock_prices WHERE date = %s RETURNING asset_id", day.session)
    world.simulator.admin(
        "faults",
        [{"endpoint": "eod-bulk-last-day", "body": bulk_body(day, high=100)}],
    )

    assert world.group().code == 0

    told = world.rows(
        "SELECT ticker, item.state, message FROM plan_items AS item"
        " JOIN assets ON assets.id = asset_id WHERE execution_id = 'run-1' AND ticker = ANY (%s)"
        " ORDER BY ticker",
        others[:2],
    )
    assert told == [
        {
            "ticker": others[0],
            "state": "succeeded",
            "message": "1 bars are in quarantined_bars",
        },
        {"ticker": others[1], "state": "succeeded", "message": None},
    ]
    assert world.value(
        "SELECT error_message FROM asset_processing_details"
        " WHERE execution_id = 'run-1' AND ticker = %s",
        others[0],
    ) == ("1 bars are in quarantined_bars")


def test_a_bulk_day_that_is_hardly_there_is_not_published_yet(world: World, day: Day) -> None:
    many = [f"Z{number}" for number in range(80)]
    world.add(*(Asset(code, "SW", checked_to=day.before) for code in many))
    world.plan_bulk("SW", [f"{code}.SW" for code in (*many, *day.others)], day.session)
    only_prices(world)
    world.simulator.admin("faults", [{"endpoint": "eod-bulk-last-day", "body": bulk_body(day)}])

    assert world.group().code == 0

    assert set(world.items().values()) == {("deferred", "not_published")}
    assert world.value("SELECT count(*) FROM stock_prices WHERE date = %s", day.session) == 0
    served = {row["code"]: row for row in json.loads(bulk_body(day)) if row["code"] in day.others}
    assert served
    [kept] = world.rows("SELECT * FROM quarantined_batches")
    assert (kept["session"], kept["rule"]) == (day.session, "batch_residue")
    assert {row["code"]: row for row in kept["rows"]} == served
    world.assert_ledgers_agree()


def test_a_code_of_digits_is_known_in_an_answer_that_is_not_believed(
    world: World, day: Day
) -> None:
    """The vendor serves it as a number."""
    many = [*(f"Z{number}" for number in range(80)), "1234"]
    world.add(*(Asset(code, "SW", checked_to=day.before) for code in many))
    world.plan_bulk("SW", [f"{code}.SW" for code in many], day.session)
    only_prices(world)
    body = bulk_body(day, code=1234)
    world.simulator.admin("faults", [{"endpoint": "eod-bulk-last-day", "body": body}])

    assert world.group().code == 0

    kept = world.value("SELECT rows FROM quarantined_batches")
    assert json.loads(body)[0] in kept


def test_a_bulk_day_that_is_hardly_there_shows_by_assets_that_nobody_asked_for(
    world: World, day: Day
) -> None:
    many = [f"Z{number}" for number in range(80)]
    add_sessions(world.owner, "SW", day.before, day.session)
    world.add(*(Asset(code, "SW", checked_to=day.before) for code in many))
    world.rows(
        "INSERT INTO stock_prices (asset_id, date, open, high, low, close, adj_close, volume)"
        " SELECT id, %s, 1, 1, 1, 1, 1, 1 FROM assets WHERE code LIKE 'Z%%' RETURNING asset_id",
        day.before,
    )
    others = [f"{code}.SW" for code in day.others]
    world.plan_bulk("SW", others, day.session)
    only_prices(world)
    world.simulator.admin("faults", [{"endpoint": "eod-bulk-last-day", "body": bulk_body(day)}])

    assert world.group().code == 0

    assert set(world.items().values()) == {("deferred", "not_published")}


def test_a_day_without_bars_before_one_with_bars_was_no_session(world: World, day: Day) -> None:
    others = [f"{code}.SW" for code in day.others]
    world.plan_bulk("SW", others, day.session - timedelta(days=400), day.session)
    only_prices(world)
    world.simulator.admin("faults", [{"endpoint": "eod-bulk-last-day", "body": "[]", "count": 1}])
    # One after the other: the first request is that of the older session.
    world.rows(
        "UPDATE plan_fetches SET group_name = 'later' WHERE session = %s RETURNING 1", day.session
    )
    assert world.group().code == 0
    world.rows("UPDATE plan_fetches SET group_name = 'swiss' RETURNING 1")
    world.rows("UPDATE slices SET finished_at = NULL RETURNING 1")
    assert world.group().code == 0

    assert {
        row["error_code"]
        for row in world.rows("SELECT error_code FROM plan_fetches WHERE kind = 'bulk_prices'")
    } == {"not_published", None}
    assert set(world.items().values()) == {("succeeded", None)}
    assert states(world)[others[0]]["prices_checked_to"] == day.session


BULK_KINDS = ("bulk_dividends", "bulk_splits")


@pytest.mark.parametrize("failing", BULK_KINDS)
def test_bars_are_stored_beside_a_failed_list_of_actions_which_is_asked_for_again(
    world: World, day: Day, failing: str
) -> None:
    world.rows(
        "UPDATE asset_processing_state SET splits_checked_to = %s, dividends_checked_to = %s"
        " RETURNING asset_id",
        day.before,
        day.before,
    )
    world.plan_bulk("SW", tickers(day), day.session)
    query = {"type": failing.removeprefix("bulk_")}
    world.simulator.admin(
        "faults", [{"endpoint": "eod-bulk-last-day", "query": query, "body": "oops"}]
    )

    assert world.group().code == 0

    assert set(world.items().values()) == {("succeeded", None)}
    for state in states(world).values():
        assert state["prices_checked_to"] == day.session
        read, unread = state["splits_checked_to"], state["dividends_checked_to"]
        if failing == "bulk_splits":
            read, unread = unread, read
        assert (read, unread) == (day.session, day.before)
    world.assert_ledgers_agree()


def test_bars_of_a_bulk_day_wait_for_its_actions_whoever_asks_for_them(
    world: World, day: Day
) -> None:
    world.plan_bulk("SW", tickers(day), day.session)
    other = world.value(
        "INSERT INTO workers (execution_id, slice, pod) VALUES ('run-1', 'swiss', 'y') RETURNING id"
    )
    world.owner.execute("SELECT pg_advisory_lock(730001, %s)", (other,))
    world.rows(
        "UPDATE plan_fetches SET state = 'claimed', worker_id = %s WHERE kind = 'bulk_dividends'"
        " RETURNING id",
        other,
    )
    bars = "SELECT count(*) FROM stock_prices WHERE date = %s"
    process = world.start("group", "swiss")
    state = "SELECT state FROM plan_fetches WHERE kind = %s AND execution_id = 'run-1'"
    world.until(lambda: world.value(state, "bulk_splits") == "done", "the splits")
    time.sleep(1.5)  # longer than the worker's pause between two looks

    assert world.value(state, "bulk_prices") == "planned"
    assert world.value(bars, day.session) == 0

    world.owner.execute("SELECT pg_advisory_unlock(730001, %s)", (other,))  # the other dies
    assert world.wait(process).code == 0
    assert set(world.items().values()) == {("succeeded", None)}
    assert world.value(bars, day.session) == len(tickers(day))
    world.assert_ledgers_agree()


def test_without_bulk_in_the_plan_every_asset_is_asked_for(world: World, day: Day) -> None:
    world.plan_bulk("SW", tickers(day), day.session)
    world.simulator.admin("account", {"withdrawn": ["eod-bulk-last-day"]})
    before = world.simulator.calls()

    assert world.group().code == 0

    assert set(world.items().values()) == {("succeeded", None)}
    assert world.simulator.calls() - before == len(tickers(day))
    (slice_,) = world.rows(
        "SELECT notes FROM slices WHERE kind = 'group' AND execution_id = 'run-1'"
    )
    assert slice_["notes"] == [
        "The vendor's plan does not include bulk days; SW is asked for asset by asset."
    ]
    assert world.value(
        "SELECT in_plan FROM vendor_endpoints WHERE endpoint = 'eod-bulk-last-day'"
    ) is (False)
    assert {
        row["error_code"]
        for row in world.rows("SELECT error_code FROM plan_fetches WHERE kind LIKE 'bulk%%'")
    } == {"not_in_plan"}
    world.assert_ledgers_agree()


def test_without_calls_a_bulk_day_is_deferred_with_its_items(world: World, day: Day) -> None:
    world.plan_bulk("SW", tickers(day), day.session)

    assert world.group(EODHD_DAILY_LIMIT="150").code == 0

    assert set(world.items().values()) == {("deferred", "daily_limit")}
    due = world.rows("SELECT DISTINCT due_on FROM plan_items WHERE state = 'deferred'")
    assert due == world.rows("SELECT day + 1 AS due_on FROM api_daily_quota")
    assert len([key for key in world.details() if key[0]]) == len(tickers(day))
    assert all(state["prices_checked_to"] == day.before for state in states(world).values())
    assert world.used() <= 150
    world.assert_ledgers_agree()
