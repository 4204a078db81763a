"""Reference series, corrections, refreshes, pages of fundamentals; Postgres and simulator."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from collector_world import Owner, World, login
from market import Asset
from simulator_fixture import DATA_MOMENT, Simulator

pytestmark = pytest.mark.integration

BEFORE, SESSION = date(2023, 9, 13), date(2023, 9, 14)


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    simulator.clock(data=DATA_MOMENT)
    with login(owner) as url:
        yield World(owner, url, simulator)


def answer(world: World, endpoint: str, symbol: str, body: Any, **more: Any) -> dict[str, Any]:
    return {
        "endpoint": endpoint,
        "symbol": symbol,
        "status": 200,
        "body": json.dumps(body),
        **more,
    }


def bar(day: date, close: float = 10.0, **more: Any) -> dict[str, Any]:
    prices = dict.fromkeys(("open", "high", "low", "close", "adjusted_close"), close)
    return {"date": day.isoformat(), **prices, "volume": 5, **more}


def state(world: World, ticker: str) -> dict[str, Any]:
    return world.rows("SELECT * FROM asset_processing_state WHERE ticker = %s", ticker)[0]


# -- reference series ---------------------------------------------------------------


def test_a_reference_series_is_stored_without_an_item_and_its_failure_fails_nobody(
    world: World,
) -> None:
    world.open()
    world.add(Asset("GSPC", "INDX", type=None), Asset("EURUSD", "FOREX", type=None))
    world.rows(
        "UPDATE assets SET kind = CASE code WHEN 'GSPC' THEN 'index' ELSE 'fx' END RETURNING id"
    )
    for ticker in ("GSPC.INDX", "EURUSD.FOREX"):
        world.plan(ticker, purpose="reference")
    world.simulator.admin(
        "faults",
        [
            answer(world, "eod", "GSPC.INDX", [bar(BEFORE, 4500.0), bar(SESSION, 4600.0)]),
            answer(world, "eod", "EURUSD.FOREX", []),
        ],
    )
    assert world.group().code == 0

    assert world.items() == {}
    told = world.rows(
        "SELECT status, api_calls_used, error_message FROM asset_processing_details"
        " WHERE operation = 'reference_prices' AND asset_id IS NULL ORDER BY status"
    )
    assert [tuple(row.values()) for row in told] == [
        ("failed", 1, "EURUSD.FOREX: the vendor knows it but has no bar of it"),
        ("success", 1, "GSPC.INDX"),
    ]
    assert world.value("SELECT count(*) FROM stock_prices") == 2
    index, rate = state(world, "GSPC.INDX"), state(world, "EURUSD.FOREX")
    assert index["prices_loaded"] and index["prices_last_date"] == SESSION
    today = world.value("SELECT date_trunc('day', now(), 'UTC')")
    assert rate["prices_next_attempt_at"] == today + timedelta(days=1)
    assert (rate["prices_failures"], rate["last_error_code"]) == (1, "empty_history")
    world.assert_ledgers_agree()


# -- corrections and refreshes ---------------------------------------------------------


def known(world: World, *codes: str) -> None:
    """Assets with bars of two sessions and five shares traded in each."""
    world.add(*(Asset(code, "SW", checked_to=SESSION) for code in codes))
    for day in (BEFORE, SESSION):
        world.rows(
            "INSERT INTO stock_prices SELECT id, %s, 10, 10, 10, 10, 10, 5 FROM assets"
            " WHERE code = ANY (%s) RETURNING date",
            day,
            list(codes),
        )
    world.rows(
        "UPDATE asset_processing_state SET prices_first_date = %s, prices_last_date = %s"
        " RETURNING asset_id",
        BEFORE,
        SESSION,
    )


def test_a_correction_changes_bars_that_nothing_newer_is_known_of(world: World) -> None:
    world.open()
    known(world, "A", "LATER", "SPLIT", "SAME")
    world.rows(
        "UPDATE asset_processing_state SET prices_refreshed_at = now() + interval '1 hour'"
        " WHERE ticker = 'LATER.SW' RETURNING asset_id"
    )
    world.rows(
        "INSERT INTO corporate_actions (asset_id, ex_date, kind, split_new, split_old, payload,"
        " execution_id) SELECT id, %s, 'split', 2, 1, '{}', 'x' FROM assets WHERE code = 'SPLIT'"
        " RETURNING 1",
        SESSION,
    )
    world.plan_bulk("SW", [], BEFORE)
    world.rows("DELETE FROM plan_fetches WHERE kind <> 'bulk_prices' RETURNING 1")
    world.rows("UPDATE plan_fetches SET purpose = 'correction' RETURNING 1")
    rows = [
        bar(BEFORE, code=code, volume=5 if code == "SAME" else 7)
        for code in ("A", "LATER", "SPLIT", "SAME", "UNKNOWN")
    ]
    world.simulator.admin("faults", [answer(world, "eod-bulk-last-day", "SW", rows)])
    before = world.value("SELECT clock_timestamp()")
    assert world.group().code == 0

    volumes = world.rows(
        "SELECT code, volume FROM stock_prices JOIN assets ON assets.id = asset_id"
        " WHERE date = %s ORDER BY code",
        BEFORE,
    )
    assert {row["code"]: row["volume"] for row in volumes} == {
        "A": 7,
        "LATER": 5,
        "SPLIT": 5,
        "SAME": 5,
    }
    (revision,) = world.rows("SELECT * FROM price_revisions")
    assert (revision["date"], revision["old_volume"], revision["new_volume"]) == (BEFORE, 5, 7)
    assert revision["execution_id"] == "run-1"
    assert before < revision["revised_at"] < world.value("SELECT clock_timestamp()")
    assert state(world, "A.SW")["prices_changed_at"] is not None
    assert state(world, "SAME.SW")["prices_changed_at"] is None
    assert world.details() == {(None, "bulk_prices_correction"): ("success", 100)}
    (day,) = world.rows("SELECT * FROM bulk_days")
    assert (day["rows"], day["of_session"], day["believed"]) == (5, 5, True)
    world.assert_ledgers_agree()


def test_a_refresh_succeeds_though_it_brings_nothing_newer(world: World) -> None:
    world.open()
    known(world, "A")
    world.plan("A.SW", operation="prices_incremental", purpose="refresh")
    world.simulator.admin(
        "faults", [answer(world, "eod", "A.SW", [bar(BEFORE, volume=5), bar(SESSION)])]
    )
    assert world.group().code == 0
    assert world.items() == {("A.SW", "prices_incremental"): ("succeeded", None)}
    assert state(world, "A.SW")["prices_refreshed_at"] is not None


def test_a_bad_bar_of_a_bulk_day_makes_its_asset_back_off(world: World) -> None:
    world.open()
    known(world, "A", "B")
    session = SESSION + timedelta(days=1)
    world.plan_bulk("SW", ["A.SW", "B.SW"], session)
    world.rows("DELETE FROM plan_fetches WHERE kind <> 'bulk_prices' RETURNING 1")
    rows = [bar(session, 11.0, code="A", high=1), bar(session, 11.0, code="B")]
    world.simulator.admin("faults", [answer(world, "eod-bulk-last-day", "SW", rows)])
    assert world.group().code == 0

    today = world.value("SELECT date_trunc('day', now(), 'UTC')")
    bad, good = state(world, "A.SW"), state(world, "B.SW")
    assert (bad["prices_failures"], bad["prices_next_attempt_at"]) == (1, today + timedelta(days=1))
    assert (good["prices_failures"], good["prices_next_attempt_at"]) == (0, None)


# -- pages of fundamentals ---------------------------------------------------------------


def plan_page(world: World, codes: list[str], *, offset: int | None = None) -> None:
    """A page and the items that it serves: of these assets, or of the next 500 of the exchange."""
    world.add(*(Asset(code, "SW") for code in codes))
    fetch = world.value(
        "INSERT INTO plan_fetches (execution_id, group_name, ordinal, kind, exchange_id, calls,"
        " symbols, page_offset) SELECT %s, 'swiss', 5000000, 'bulk_fundamentals', id, %s, %s, %s"
        " FROM exchanges WHERE code = 'SW' RETURNING id",
        world.execution_id,
        100 if offset is not None else 100 + len(codes),
        None if offset is not None else codes,
        offset,
    )
    world.rows(
        "INSERT INTO plan_items (execution_id, group_name, asset_id, exchange_id, operation, way,"
        " fetch_id) SELECT %s, 'swiss', id, exchange_id, 'fundamentals_bulk', 'bulk', %s"
        " FROM assets WHERE code = ANY (%s) RETURNING id",
        world.execution_id,
        fetch,
        codes,
    )


@pytest.fixture
def extended(world: World) -> World:
    """The vendor's plan has pages of fundamentals."""
    world.simulator.admin("account", {"plan": "extended"})
    return world


def entry(code: str, **sections: Any) -> dict[str, Any]:
    return {"General": {"Code": code, "Sector": "Energy"}, **sections}


def test_a_page_lengthens_statements_and_what_it_lacks_is_asked_for_alone(
    extended: World,
) -> None:
    world = extended
    world.open()
    plan_page(world, ["A", "B", "GONE"])
    old = {
        "Balance_Sheet": {"quarterly": {"2020-03-31": {"cash": "1"}, "2023-06-30": {"cash": "2"}}}
    }
    world.rows(
        "UPDATE assets SET description = 'known', eodhd_holders = '{\"0\": {}}',"
        " eodhd_financials = %s WHERE code = 'A' RETURNING id",
        json.dumps(old),
    )
    restated = {"date": "2023-06-30", "cash": "3"}
    page = {
        "0": entry("A", Financials={"Balance_Sheet": {"quarterly_last_0": restated}}),
        "1": entry("B", Valuation="poisoned"),
        "2": "oops",
        "3": entry("OTHER"),
    }
    alone = {"General": {"Code": "B", "Sector": "Utilities"}}
    world.simulator.admin(
        "faults",
        [
            answer(world, "bulk-fundamentals", "SW", page),
            answer(world, "fundamentals", "B.SW", alone),
        ],
    )
    assert world.group().code == 0

    assert world.items() == {
        ("A.SW", "fundamentals_bulk"): ("succeeded", None),
        ("B.SW", "fundamentals_bulk"): ("succeeded", None),
        ("GONE.SW", "fundamentals_bulk"): ("failed", "not_found"),
    }
    a, b = world.rows("SELECT * FROM assets WHERE code IN ('A', 'B') ORDER BY code")
    assert (a["sector"], a["description"], a["eodhd_holders"]) == ("Energy", "known", {"0": {}})
    assert a["eodhd_financials"] == {
        "Balance_Sheet": {
            "quarterly": {"2020-03-31": {"cash": "1"}, "2023-06-30": restated},
        }
    }
    assert b["sector"] == "Utilities"
    assert state(world, "A.SW")["fundamentals_loaded"]
    assert world.details() == {
        (None, "bulk_fundamentals"): ("success", 103),
        ("A.SW", "fundamentals_bulk"): ("success", 0),
        ("B.SW", "fundamentals_bulk"): ("success", 10),
        ("GONE.SW", "fundamentals_bulk"): ("failed", 1),
    }
    # The simulator knows no B and charges for its made-up answer as for an unknown name.
    assert world.used() == world.logged() == world.detailed() == 103 + 10 + 1


def test_pages_of_an_exchange_serve_its_items_whichever_has_them(extended: World) -> None:
    world = extended
    world.open()
    plan_page(world, [], offset=0)
    plan_page(world, ["A", "B"], offset=500)
    world.simulator.admin(
        "faults",
        [
            answer(world, "bulk-fundamentals", "SW", [entry("A")], query={"offset": "0"}),
            answer(world, "bulk-fundamentals", "SW", [entry("B")], query={"offset": "500"}),
        ],
    )
    assert world.group().code == 0
    assert set(world.items().values()) == {("succeeded", None)}
    assert world.value("SELECT count(*) FROM plan_fetches WHERE kind = 'fundamentals'") == 0
    world.assert_ledgers_agree()


def test_without_pages_in_the_vendors_plan_every_asset_is_asked_for(world: World) -> None:
    world.open()
    rows = world.simulator.get("exchange-symbol-list/SW").json()
    codes = sorted(row["Code"] for row in rows if row["Type"] == "Common Stock")[:2]
    plan_page(world, codes)
    assert world.group().code == 0  # the simulator's plan has no pages
    assert set(world.items().values()) == {("succeeded", None)}
    assert world.rows(
        "SELECT in_plan FROM vendor_endpoints WHERE endpoint = 'bulk-fundamentals'"
    ) == [{"in_plan": False}]
    notes = world.value("SELECT notes FROM slices WHERE kind = 'group'")
    assert notes == [
        "The vendor's plan does not include bulk fundamentals; SW is asked for asset by asset."
    ]
    assert world.used() == 20


def test_a_page_that_the_calls_do_not_reach_for_is_deferred_with_its_items(world: World) -> None:
    world.open()
    plan_page(world, ["A", "B"])
    assert world.group(EODHD_DAILY_LIMIT="50").code == 0
    assert set(world.items().values()) == {("deferred", "daily_limit")}
    world.assert_ledgers_agree()
