"""Splits and dividends of assets, from the vendor's lists to the state; Postgres and simulator."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from collector_world import Owner, World, world_of_two
from market import add_sessions
from simulator_fixture import Simulator

pytestmark = pytest.mark.integration

FIRST = date(2023, 9, 1)
SESSIONS = [date(2023, 9, day) for day in (11, 12, 13, 14, 15, 18, 19)]
EX = SESSIONS[3]


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    with world_of_two(owner, simulator, FIRST, SESSIONS[-1]) as world:
        yield world


def bars(last: date, *, ratio: float = 1.0, shown: bool = True) -> list[dict[str, Any]]:
    """A series of 100, and of 100 / `ratio` from the ex-date on, adjusted for it or not."""
    return [
        {
            "date": day.isoformat(),
            **dict.fromkeys(("open", "high", "low", "close"), 100 / (1 if day < EX else ratio)),
            "adjusted_close": 100 / ratio if shown or day >= EX else 100,
            "volume": 5,
        }
        for day in SESSIONS
        if day <= last
    ]


def serve(world: World, **lists: Any) -> None:
    """What the vendor answers for A, by endpoint."""
    world.simulator.admin(
        "faults",
        [
            {"endpoint": endpoint, "symbol": "A.SW", "status": 200, "body": json.dumps(body)}
            for endpoint, body in lists.items()
        ],
    )


def split(ratio: float = 2.0) -> list[dict[str, Any]]:
    return [{"date": EX.isoformat(), "split": f"{ratio}/1"}]


def state(world: World, code: str = "A") -> Mapping[str, Any]:
    return world.rows("SELECT * FROM asset_processing_state WHERE ticker = %s", f"{code}.SW")[0]


def first_load(world: World, last: date) -> None:
    world.open()
    for kind in ("prices", "splits", "dividends"):
        world.plan("A.SW", kind, first=FIRST, last=last)
    assert world.group().code == 0


def fetch_again(world: World, number: int, last: date) -> None:
    """Another run, on another session: the history again."""
    world.open(execution_id=f"again-{number}")
    world.plan("A.SW", operation="prices_incremental", first=FIRST, last=last)
    assert world.group().code == 0


def test_a_first_load_is_three_requests_and_an_empty_list_is_a_list(world: World) -> None:
    dividend = {"value": 1, "unadjustedValue": "2", "currency": "CHF", "date": EX.isoformat()}
    series = [
        bar | {"adjusted_close": 98 if bar["date"] < EX.isoformat() else 100}
        for bar in bars(SESSIONS[-1])
    ]
    serve(world, eod=series, splits=[], div=[dividend])
    first_load(world, SESSIONS[-1])

    assert world.items() == {
        ("A.SW", operation): ("succeeded", None)
        for operation in ("prices_bulk", "splits", "dividends")
    }
    assert {key: calls for key, (_, calls) in world.details().items()} == {
        ("A.SW", operation): 1 for operation in ("prices_bulk", "splits", "dividends")
    }
    known = state(world)
    assert known["splits_checked_to"] == known["dividends_checked_to"] == SESSIONS[-1]
    assert not known["needs_prices_reprocess"] and known["prices_refreshed_at"] is not None
    (action,) = world.rows("SELECT * FROM corporate_actions")
    assert (action["dividend"], action["unadjusted_dividend"]) == (1.0, 2.0)
    assert action["confirmed_at"] is not None  # 2 of 100 are in the adjusted closes
    world.assert_ledgers_agree()


def test_an_action_is_looked_for_each_session_until_the_history_shows_it(world: World) -> None:
    hidden = {"ratio": 2, "shown": False}
    serve(world, eod=bars(EX, **hidden), splits=split(), div=[])
    first_load(world, EX)
    assert state(world)["needs_prices_reprocess"]
    # Counted already where the list was closed together with the history.
    counted = world.value("SELECT checked_sessions FROM corporate_actions")
    assert counted in (0, 1)
    for number in (1, 2, 3):
        if number == 3:
            serve(world, eod=bars(SESSIONS[3 + number], ratio=2))
        else:
            serve(world, eod=bars(SESSIONS[3 + number], **hidden))
        fetch_again(world, number, SESSIONS[3 + number])
        (action,) = world.rows("SELECT * FROM corporate_actions")
        known = state(world)
        assert known["needs_prices_reprocess"] == (number < 3)
        assert (action["confirmed_at"] is None) == (number < 3)
        assert action["checked_sessions"] == counted + min(number, 2)
        if number < 3:
            following = datetime.combine(
                SESSIONS[4 + number] if number < 3 else EX, datetime.min.time(), UTC
            )
            assert known["prices_next_attempt_at"] == following + timedelta(hours=19, minutes=30)
            message = world.value(
                "SELECT message FROM plan_items WHERE execution_id = %s", f"again-{number}"
            )
            assert message == "the adjusted closes do not show a split or dividend yet"
    assert world.rows("SELECT 1 FROM data_findings WHERE rule = 'action_not_applied'") == []
    world.assert_ledgers_agree()


def test_an_action_that_is_never_shown_is_a_finding_after_five_sessions(world: World) -> None:
    serve(world, eod=bars(SESSIONS[-1], ratio=2, shown=False), splits=split(), div=[])
    first_load(world, SESSIONS[-1])
    # A second look at the same session does not count.
    days = [SESSIONS[-1], SESSIONS[-1], *(SESSIONS[-1] + timedelta(days=n) for n in range(1, 5))]
    for number, last in enumerate(days):
        assert state(world)["needs_prices_reprocess"]
        fetch_again(world, number, last)

    assert not state(world)["needs_prices_reprocess"]
    (action,) = world.rows("SELECT * FROM corporate_actions")
    assert action["confirmed_at"] is None and action["checked_sessions"] == 5
    (found,) = world.rows("SELECT * FROM data_findings WHERE rule = 'action_not_applied'")
    assert (found["asset_id"], found["date_from"]) == (world.asset_id("A.SW"), EX)
    assert (found["severity"], found["measured"], found["expected"]) == ("flag", 1.0, 0.5)

    # What is seen again is confirmed, and a person's word holds.
    state_of = "SELECT state FROM data_findings WHERE rule = 'action_not_applied'"
    fetch_again(world, 7, SESSIONS[-1])
    assert world.value(state_of) == "confirmed"
    world.value("SELECT release_finding(%s)", found["id"])
    fetch_again(world, 8, SESSIONS[-1])
    assert world.value(state_of) == "accepted"

    # A refetch of later that shows it mends both.
    serve(world, eod=bars(SESSIONS[-1], ratio=2))
    fetch_again(world, 9, SESSIONS[-1])
    assert world.value("SELECT confirmed_at FROM corporate_actions") is not None
    assert world.value("SELECT state FROM data_findings WHERE rule = 'action_not_applied'") == (
        "released"
    )


def test_a_corrected_action_is_looked_for_anew_and_a_withdrawn_one_has_not_happened(
    world: World,
) -> None:
    other = {"date": SESSIONS[1].isoformat(), "split": "1.000000/1.000000"}
    serve(world, eod=bars(SESSIONS[-1], ratio=2), splits=[other, *split()], div=[])
    first_load(world, SESSIONS[-1])
    known = "SELECT split_new, confirmed_at, withdrawn_at FROM corporate_actions WHERE ex_date = %s"
    assert world.rows(known, EX)[0]["confirmed_at"] is not None

    serve(world, eod=bars(SESSIONS[-1], ratio=2), splits=[other, *split(3)])
    world.open(execution_id="corrected")
    world.plan("A.SW", "splits", first=FIRST, last=SESSIONS[-1])
    assert world.group().code == 0
    (corrected,) = world.rows(known, EX)
    assert (corrected["split_new"], corrected["confirmed_at"]) == (3.0, None)
    # It was fetched again at once, without an item, and does not show it.
    assert world.details()[None, "action_refetch"] == ("success", 1)
    assert state(world)["needs_prices_reprocess"]

    serve(world, eod=bars(SESSIONS[-1]), splits=[other])
    world.open(execution_id="withdrawn")
    world.plan("A.SW", "splits", first=FIRST, last=SESSIONS[-1])
    assert world.group().code == 0
    assert world.rows(known, EX)[0]["withdrawn_at"] is not None
    assert world.details()[None, "action_refetch"] == ("success", 1)
    assert not state(world)["needs_prices_reprocess"]

    # An empty list is no withdrawal: a list that is lost looks the same.
    serve(world, splits=[])
    world.open(execution_id="empty")
    world.plan("A.SW", "splits", first=FIRST, last=SESSIONS[-1])
    assert world.group().code == 0
    assert world.rows(known, SESSIONS[1])[0]["withdrawn_at"] is None
    world.assert_ledgers_agree()


def sessions_to_this_day(world: World) -> tuple[date, date]:
    """Makes this day a session; it, and the newest session whose lists are final."""
    today = world.value("SELECT (now() AT TIME ZONE 'UTC')::date")
    add_sessions(world.owner, "SW", today - timedelta(days=5), today)
    world.rows(
        "INSERT INTO exchange_sessions SELECT id, %s, now() FROM exchanges WHERE code = 'SW'"
        " ON CONFLICT DO NOTHING RETURNING 1",
        today,
    )
    # Until 04:00 of tomorrow the lists of today may grow.
    final = world.value(
        "SELECT max(session) FROM exchange_sessions WHERE session + interval '28 hours'"
        " <= now() AT TIME ZONE 'UTC'"
    )
    return today, final


def open_bulk_dividends(world: World, day: date) -> None:
    """A run of one bulk list of dividends, which A waits for."""
    world.open(execution_id="bulk")
    world.plan_bulk("SW", [], day)
    world.rows("DELETE FROM plan_fetches WHERE kind IN ('bulk_splits', 'bulk_prices') RETURNING 1")
    world.rows(
        "INSERT INTO plan_items (execution_id, group_name, asset_id, exchange_id, operation, way,"
        " expected_to) SELECT 'bulk', 'swiss', id, exchange_id, 'dividends', 'bulk', %s"
        " FROM assets WHERE code = 'A' RETURNING id",
        day,
    )


def test_a_list_that_is_empty_before_it_is_final_means_not_yet(world: World) -> None:
    today, final = sessions_to_this_day(world)
    serve(world, splits=[], div=[])
    world.open()
    for kind in ("splits", "dividends"):
        world.plan("A.SW", kind, first=FIRST, last=today)
    assert world.group().code == 0

    known = state(world)
    assert known["splits_checked_to"] == known["dividends_checked_to"] == final < today
    assert known["actions_failures"] == 0
    world.assert_ledgers_agree()

    open_bulk_dividends(world, today)
    world.simulator.admin("faults", [{"endpoint": "eod-bulk-last-day", "body": "[]"}])
    assert world.group().code == 0
    assert world.items() == {("A.SW", "dividends"): ("deferred", "not_published")}
    assert state(world)["dividends_checked_to"] == final


def test_a_list_that_is_not_final_yet_is_recorded_and_not_counted_as_read(world: World) -> None:
    today, final = sessions_to_this_day(world)
    rows = [{"date": today.isoformat(), "split": "2/1"}]
    serve(world, splits=rows)
    world.open()
    world.plan("A.SW", "splits", first=FIRST, last=today)
    assert world.group().code == 0

    assert world.value("SELECT ex_date FROM corporate_actions") == today
    assert state(world)["splits_checked_to"] == final < today
    assert not state(world)["needs_prices_reprocess"]  # no bar is there that could show it

    # In bulk too: the early list is recorded, its items are not done.
    world.rows("UPDATE asset_processing_state SET dividends_checked_to = %s RETURNING 1", final)
    open_bulk_dividends(world, today)
    paid = {"code": "B", "date": today.isoformat(), "dividend": 1, "currency": "CHF"}
    world.simulator.admin("faults", [{"endpoint": "eod-bulk-last-day", "body": json.dumps([paid])}])
    assert world.group().code == 0
    assert world.items() == {("A.SW", "dividends"): ("deferred", "not_published")}
    assert state(world)["dividends_checked_to"] == final
    assert world.value("SELECT count(*) FROM corporate_actions WHERE kind = 'dividend'") == 1
    (day,) = world.rows("SELECT * FROM bulk_days")
    assert (day["kind"], day["of_session"], day["believed"]) == ("bulk_dividends", 1, True)


@pytest.mark.parametrize(
    ("amount", "currency", "adjusted", "found"),
    [
        pytest.param(0.2, "GBP", 80, None, id="pounds, right"),
        pytest.param(0.25, "USD", 80, None, id="dollars, right"),
        pytest.param(0.2, "GBP", 100, "dividend_not_adjusted", id="pounds, missing"),
        pytest.param(0.25, "USD", 100, "dividend_not_adjusted", id="dollars, missing"),
        pytest.param(0.2, "GBP", 99.8, "dividend_unit", id="pounds taken for pence"),
        pytest.param(0.25, "USD", 75, "dividend_mismatch", id="dollars taken for pounds"),
    ],
)
def test_a_dividend_is_judged_in_the_unit_of_the_closes(
    world: World, amount: float, currency: str, adjusted: float, found: str | None
) -> None:
    """Closes of 100 pence, and 1.25 dollars a pound: each amount is 20 pence."""
    world.rows("UPDATE assets SET currency = 'GBX' WHERE code = 'A' RETURNING id")
    rate = world.value(
        "INSERT INTO assets (code, exchange_id, ticker, kind)"
        " SELECT 'GBPUSD', id, 'GBPUSD.FOREX', 'fx' FROM exchanges WHERE code = 'FOREX'"
        " RETURNING id"
    )
    world.rows(
        "INSERT INTO stock_prices VALUES (%s, %s, 1.25, 1.25, 1.25, 1.25, 1.25, 0) RETURNING date",
        rate,
        EX,
    )
    paid = {"value": amount, "unadjustedValue": amount, "currency": currency}
    series = [
        bar | {"adjusted_close": adjusted if bar["date"] < EX.isoformat() else 100}
        for bar in bars(SESSIONS[-1])
    ]
    serve(world, eod=series, splits=[], div=[paid | {"date": EX.isoformat()}])

    first_load(world, SESSIONS[-1])

    (action,) = world.rows("SELECT * FROM corporate_actions")
    assert (action["confirmed_at"] is not None) == (found is None)
    assert state(world)["needs_prices_reprocess"] == (found is not None)
    said = world.rows("SELECT * FROM data_findings WHERE rule LIKE 'dividend%%'")
    assert [(row["rule"], row["date_from"]) for row in said] == ([(found, EX)] if found else [])
    assert [row["expected"] for row in said] == [pytest.approx(20)] * len(said)


def test_failures_of_lists_back_off_by_themselves_and_a_reset_forgets_all(world: World) -> None:
    today = world.value("SELECT date_trunc('day', now(), 'UTC')")
    for number, days in ((1, 1), (2, 2), (3, 4)):
        serve(world, splits=[{"date": EX.isoformat(), "split": "oops"}], div=[])
        world.open(execution_id=f"run-{number}")
        world.plan("A.SW", "splits", first=FIRST, last=SESSIONS[-1])
        world.plan("A.SW", "dividends", first=FIRST, last=SESSIONS[-1])
        assert world.group().code == 0
        assert world.items() == {
            ("A.SW", "splits"): ("failed", "bad_payload"),
            ("A.SW", "dividends"): ("succeeded", None),
        }
        known = state(world)
        # That the dividends are well does not make the splits so.
        assert known["actions_failures"] == number
        assert known["actions_next_attempt_at"] == today + timedelta(days=days)
        assert (known["prices_failures"], known["prices_next_attempt_at"]) == (0, None)
        assert known["splits_checked_to"] is None and known["dividends_checked_to"] is not None
    assert world.value("SELECT reset_ticker_for_reprocessing('A.SW', 'prices')")
    known = state(world)
    assert (known["actions_failures"], known["actions_next_attempt_at"]) == (0, None)
    assert known["splits_checked_to"] is known["dividends_checked_to"] is None

    serve(world, splits=split())
    world.open(execution_id="well")
    world.plan("A.SW", "splits", first=FIRST, last=SESSIONS[-1])
    assert world.group().code == 0
    assert state(world)["splits_checked_to"] == SESSIONS[-1]
    world.assert_ledgers_agree()


def test_bulk_lists_are_read_up_to_the_session_before_the_first_that_is_missing(
    world: World,
) -> None:
    world.rows("UPDATE asset_processing_state SET splits_checked_to = %s RETURNING 1", SESSIONS[0])
    world.rows(
        "UPDATE asset_processing_state SET splits_checked_to = %s WHERE ticker = 'B.SW'"
        " RETURNING 1",
        SESSIONS[2],
    )
    world.open()
    world.plan_bulk("SW", [], *SESSIONS[1:5])
    world.rows("DELETE FROM plan_fetches WHERE kind <> 'bulk_splits' RETURNING 1")
    for code in "AB":
        world.rows(
            "INSERT INTO plan_items (execution_id, group_name, asset_id, exchange_id, operation,"
            " way, expected_to) SELECT 'run-1', 'swiss', id, exchange_id, 'splits', 'bulk', %s"
            " FROM assets WHERE code = %s RETURNING id",
            SESSIONS[4],
            code,
        )
    world.simulator.admin(
        "faults",
        [
            {"endpoint": "eod-bulk-last-day", "query": {"date": "2023-09-13"}, "body": "oops"},
            {
                "endpoint": "eod-bulk-last-day",
                "query": {"date": "2023-09-15"},
                "body": json.dumps(
                    [
                        {"code": "B", "date": "2023-09-15", "split": "oops"},
                        {"code": "X", "date": "2023-09-15", "split": "2/1"},
                    ]
                ),
            },
        ],
    )
    assert world.group().code == 0

    # The 13th is missing; of B the list of the 15th cannot be read, so its own is asked for next.
    assert state(world)["splits_checked_to"] == SESSIONS[1]
    assert state(world, "B")["splits_checked_to"] is None
    assert world.items() == {
        ("A.SW", "splits"): ("failed", "bad_payload"),
        ("B.SW", "splits"): ("failed", "bad_payload"),
    }
    assert state(world)["actions_failures"] == 0
    world.assert_ledgers_agree()


def test_a_split_and_a_dividend_of_one_day_that_are_never_shown_are_one_finding(
    world: World,
) -> None:
    dividend = {"value": 1, "unadjustedValue": 2, "currency": "CHF", "date": EX.isoformat()}
    hidden = bars(SESSIONS[-1], ratio=2, shown=False)
    serve(world, eod=hidden, splits=split(), div=[dividend])
    first_load(world, SESSIONS[-1])
    world.owner.execute("UPDATE financial_screener.corporate_actions SET checked_sessions = 4")
    fetch_again(world, 1, SESSIONS[-1] + timedelta(days=1))

    (found,) = world.rows("SELECT * FROM data_findings WHERE rule = 'action_not_applied'")
    assert (found["date_from"], found["measured"]) == (EX, 1.0)
    assert found["message"] == (
        f"dividend and split of {EX.isoformat()} are not in the adjusted closes"
    )
    assert not state(world)["needs_prices_reprocess"]
