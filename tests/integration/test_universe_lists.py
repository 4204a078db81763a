"""Symbol lists on real Postgres: compared with what is known, each change an event."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from collector_world import Owner, World, login
from psycopg.rows import dict_row
from simulator_fixture import DATA_MOMENT, Simulator

from screener_collector import listing
from screener_collector.parse import Listing
from screener_collector.universe import Proofs, compare, settle

pytestmark = pytest.mark.integration

SPEC = {
    "groups": [{"name": "swiss", "exchanges": ["SW"]}],
    "history": {"years": 1},
    "assetTypes": ["Common Stock"],
}


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    simulator.clock(data=DATA_MOMENT)
    with login(owner) as url:
        yield World(owner, url, simulator)


def notes(world: World) -> list[str]:
    found: list[str] = world.value(
        "SELECT notes FROM slices WHERE kind = 'preflight' AND execution_id = %s",
        world.execution_id,
    )
    return found


def happened(world: World) -> list[tuple[str | None, str]]:
    return [
        (row["code"], row["event"])
        for row in world.rows(
            "SELECT assets.code, event FROM asset_events LEFT JOIN assets ON assets.id = asset_id"
            " WHERE execution_id = %s AND event <> 'new' ORDER BY 1, 2",
            world.execution_id,
        )
    ]


def add(world: World, code: str, exchange: str = "SW", **columns: Any) -> int:
    """An asset as a list before had it, with its state; its id."""
    said = {"name": f"{code} AG", "type": "Common Stock", "currency": "CHF"} | columns
    names = ", ".join(said)
    marks = ", ".join(["%s"] * len(said))
    found: int = world.value(
        f"INSERT INTO assets (code, exchange_id, ticker, {names})"  # noqa: S608
        f" SELECT %s, id, %s, {marks} FROM exchanges WHERE code = %s RETURNING id",
        code,
        f"{code}.{exchange}",
        *said.values(),
        exchange,
    )
    world.rows(
        "INSERT INTO asset_processing_state (asset_id, ticker, prices_loaded)"
        " VALUES (%s, %s, true) RETURNING asset_id",
        found,
        f"{code}.{exchange}",
    )
    return found


def add_bars(world: World, asset_id: int, ticker: str, factor: float = 1.0) -> int:
    """The vendor's last bars of a ticker as those of an asset; how many."""
    rows = world.simulator.get(f"eod/{ticker}").json()[-80:]
    with world.owner.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO financial_screener.stock_prices VALUES (%s, %s, 1, 1, 1, %s, 1, 0)",
            [(asset_id, row["date"], row["close"] * factor) for row in rows],
        )
    return len(rows)


def stock(world: World, exchange: str = "SW") -> dict[str, Any]:
    """A common stock of the vendor's list with an ISIN of its own and bars."""
    rows = world.simulator.get(f"exchange-symbol-list/{exchange}").json()
    isins = [row["Isin"] for row in rows]
    for row in rows:
        own = row["Isin"] and isins.count(row["Isin"]) == 1 and row["Type"] == "Common Stock"
        if own and len(world.simulator.get(f"eod/{row['Code']}.{exchange}").json()) > 100:
            found: dict[str, Any] = row
            return found
    raise AssertionError("no stock has both")


def ticker_of(world: World, asset_id: int) -> tuple[str, str]:
    """The ticker of an asset, in `assets` and in its state."""
    (row,) = world.rows(
        "SELECT assets.ticker, state.ticker AS of_state FROM assets"
        " JOIN asset_processing_state AS state ON asset_id = id WHERE id = %s",
        asset_id,
    )
    return row["ticker"], row["of_state"]


def test_an_isin_that_left_and_came_with_the_same_bars_is_a_rename(world: World) -> None:
    row = stock(world)
    asset = add(world, "BEFORE", isin=row["Isin"])
    bars = add_bars(world, asset, f"{row['Code']}.SW")
    world.rows(
        "INSERT INTO api_ticker_priority (ticker, priority) VALUES ('BEFORE.SW', 1)"
        " RETURNING ticker"
    )
    world.simulator.reset()
    world.simulator.clock(data=DATA_MOMENT)
    world.open(SPEC)

    assert world.preflight().code == 0

    ticker = f"{row['Code']}.SW"
    assert ticker_of(world, asset) == (ticker, ticker)
    assert happened(world) == [(row["Code"], "renamed")]
    assert world.value("SELECT listed FROM assets WHERE id = %s", asset)
    assert world.value("SELECT count(*) FROM stock_prices WHERE asset_id = %s", asset) == bars
    assert world.value("SELECT ticker FROM api_ticker_priority") == ticker
    assert world.details()[None, "preflight_bars"] == ("success", 1)
    world.assert_ledgers_agree()


def test_an_isin_with_other_bars_is_a_delisting_and_a_listing(world: World) -> None:
    row = stock(world)
    asset = add(world, "BEFORE", isin=row["Isin"])
    bars = add_bars(world, asset, f"{row['Code']}.SW", factor=1.01)
    world.open(SPEC)

    assert world.preflight().code == 0

    assert ticker_of(world, asset) == ("BEFORE.SW", "BEFORE.SW")
    assert happened(world) == [("BEFORE", "delisted")]
    assert not world.value("SELECT listed FROM assets WHERE id = %s", asset)
    assert world.value("SELECT count(*) FROM stock_prices WHERE asset_id = %s", asset) == bars
    assert world.value("SELECT count(*) FROM assets WHERE code = %s", row["Code"]) == 1


def test_a_rename_that_cannot_be_asked_about_waits_for_the_next_run(world: World) -> None:
    row = stock(world)
    asset = add(world, "BEFORE", isin=row["Isin"])
    add_bars(world, asset, f"{row['Code']}.SW")
    world.simulator.admin("faults", [{"endpoint": "eod", "status": 500}])
    world.open(SPEC)

    assert world.preflight().code == 0

    assert "is compared in the next run" in str(notes(world))
    assert happened(world) == []
    assert world.value("SELECT listed_at FROM exchanges WHERE code = 'SW'") is None
    world.simulator.admin("faults", [])
    world.open(SPEC, execution_id="run-2")
    assert world.preflight().code == 0
    assert ticker_of(world, asset)[0] == f"{row['Code']}.SW"


def test_a_code_given_to_another_company_leaves_the_bars_with_the_old_one(world: World) -> None:
    row = stock(world)
    asset = add(world, row["Code"], name="Long Gone AG", isin="CH0000000001")
    bars = add_bars(world, asset, f"{row['Code']}.SW")
    old = {"Code": f"{row['Code']}_old", "Name": "Long Gone AG", "Type": "Common Stock"}
    world.simulator.admin(
        "faults",
        [
            {
                "endpoint": "exchange-symbol-list",
                "query": {"delisted": "1"},
                "body": json.dumps([old | {"Isin": "CH0000000001"}]),
            }
        ],
    )
    world.open(SPEC)

    assert world.preflight().code == 0

    assert ticker_of(world, asset)[0] == f"{row['Code']}_old.SW"
    assert happened(world) == [(old["Code"], "delisted"), (old["Code"], "renamed")]
    assert world.value("SELECT count(*) FROM stock_prices WHERE asset_id = %s", asset) == bars
    (new,) = world.rows("SELECT id, isin, listed FROM assets WHERE code = %s", row["Code"])
    assert (new["isin"], new["listed"]) == (row["Isin"], True)
    assert world.value("SELECT count(*) FROM stock_prices WHERE asset_id = %s", new["id"]) == 0
    assert world.details()[None, "preflight_symbols"] == ("success", 2)


def test_every_change_of_a_list_is_told_and_another_unit_is_fetched_again(world: World) -> None:
    world.open(SPEC)
    assert world.preflight().code == 0
    count = world.value("SELECT count(*) FROM asset_events WHERE event = 'new'")
    assert count == world.value("SELECT count(*) FROM assets WHERE kind = 'listing'")
    world.rows("UPDATE exchanges SET listed_at = listed_at - interval '2 days' RETURNING id")
    listed = world.rows(
        "SELECT id, code FROM assets WHERE kind = 'listing' AND isin IS NOT NULL"
        " ORDER BY code LIMIT 4"
    )
    back, kind, unit, gone = (each["id"] for each in listed)
    world.rows("UPDATE assets SET listed = false WHERE id = %s RETURNING id", back)
    world.rows("UPDATE assets SET type = 'ETF' WHERE id = %s RETURNING id", kind)
    world.rows("UPDATE assets SET currency = 'GBX' WHERE id = %s RETURNING id", unit)
    world.rows("UPDATE asset_processing_state SET prices_loaded = true RETURNING asset_id")
    world.rows(
        "UPDATE assets SET code = 'GONE', ticker = 'GONE.SW', isin = NULL WHERE id = %s"
        " RETURNING id",
        gone,
    )
    world.rows(
        "UPDATE asset_processing_state SET ticker = 'GONE.SW' WHERE asset_id = %s"
        " RETURNING asset_id",
        gone,
    )
    world.open(SPEC, execution_id="run-2")

    assert world.preflight().code == 0

    assert sorted(happened(world)) == sorted(
        [
            (listed[0]["code"], "relisted"),
            (listed[1]["code"], "type_changed"),
            (listed[2]["code"], "currency_changed"),
            ("GONE", "delisted"),
        ]
    )
    assert world.rows(
        "SELECT asset_id FROM asset_processing_state WHERE needs_prices_reprocess"
    ) == [{"asset_id": unit}]
    assert (
        world.value(
            "SELECT count(*) FROM asset_events WHERE event = 'new' AND execution_id = 'run-2'"
        )
        == 1
    )  # the code that was GONE's


@pytest.mark.parametrize(
    "body",
    [
        pytest.param([{"Code": "ABC", "Type": "Common Stock", "Name": "Abc"}], id="truncated"),
        pytest.param([], id="empty"),
        pytest.param([{"code": "ABC"}] * 300, id="rows without a code"),
    ],
)
def test_a_list_that_lacks_too_much_is_kept_flagged_and_asked_again(
    world: World, body: list[dict[str, str]]
) -> None:
    world.open(SPEC)
    assert world.preflight().code == 0
    assets = world.rows("SELECT * FROM assets ORDER BY id")
    world.rows("UPDATE exchanges SET listed_at = listed_at - interval '2 days' RETURNING id")
    world.simulator.admin(
        "faults", [{"endpoint": "exchange-symbol-list", "body": json.dumps(body)}]
    )
    world.open(SPEC, execution_id="run-2")

    assert world.preflight().code == 0

    assert world.rows("SELECT * FROM assets ORDER BY id") == assets
    assert "was not believed" in str(notes(world))
    flags = "SELECT flags FROM exchanges WHERE code = 'SW'"
    assert world.value(flags) == ["list_not_believed"]
    assert happened(world) == [(None, "list_not_believed")]
    world.simulator.admin("faults", [])
    world.open(SPEC, execution_id="run-3")
    assert world.preflight().code == 0
    assert world.details()[None, "preflight_symbols"] == ("success", 1)
    assert world.value(flags) == []


def assert_a_list_of_one_is_believed(world: World) -> None:
    body = json.dumps([{"Code": "ABC", "Type": "Common Stock", "Name": "Abc"}])
    world.simulator.admin("faults", [{"endpoint": "exchange-symbol-list", "body": body}])
    world.open(SPEC, execution_id="run-2")

    assert world.preflight().code == 0

    assert world.rows("SELECT code FROM assets WHERE listed AND kind = 'listing'") == [
        {"code": "ABC"}
    ]


def test_people_can_have_a_list_believed_that_lacks_much(world: World) -> None:
    world.open(SPEC)
    assert world.preflight().code == 0
    world.rows(
        "UPDATE exchanges SET listed_at = NULL, believe_next_list = true WHERE code = 'SW'"
        " RETURNING id"
    )
    assert_a_list_of_one_is_believed(world)
    assert not world.value("SELECT believe_next_list FROM exchanges WHERE code = 'SW'")


def test_how_much_a_list_may_lack_is_a_number_of_the_table_of_rules(world: World) -> None:
    world.open(SPEC)
    assert world.preflight().code == 0
    world.rows(
        "UPDATE data_rules SET parameters = parameters || '{\"share\": 1}'"
        " WHERE rule = 'list_partial' RETURNING rule"
    )
    world.rows("UPDATE exchanges SET listed_at = listed_at - interval '2 days' RETURNING id")
    assert_a_list_of_one_is_believed(world)


# As the vendor does it, by its own clock


def yesterday() -> str:
    return str(datetime.now(UTC).date() - timedelta(days=1))


def us_spec() -> dict[str, object]:
    return {"groups": [{"name": "us", "exchanges": ["US"]}], "history": {"years": 1}}


@pytest.mark.parametrize("in_plan", [True, False], ids=["on record", "the record not in the plan"])
def test_a_rename_in_the_us_is_believed_from_the_record(world: World, in_plan: bool) -> None:
    world.simulator.clock(data=None)
    row = next(
        each
        for each in world.simulator.get("exchange-symbol-list/US").json()
        if each["Type"] == "Common Stock"
    )
    asset = add(world, row["Code"], "US", name=row["Name"], currency="USD", isin=None)
    event = {"kind": "rename", "ticker": f"{row['Code']}.US", "on": yesterday(), "code": "ZZNEW"}
    world.simulator.admin("faults", [event])
    if not in_plan:
        world.simulator.admin("account", {"withdrawn": ["symbol-change-history"]})
    world.rows(
        "UPDATE asset_processing_state SET prices_failures = 3,"
        " prices_next_attempt_at = now() + interval '4 days' RETURNING asset_id"
    )
    world.open(us_spec())

    assert world.preflight().code == 0

    failures = "SELECT prices_failures FROM asset_processing_state WHERE asset_id = %s"
    assert world.value(failures, asset) == (0 if in_plan else 3)
    asked = world.details()[None, "preflight_symbol_changes"]
    if in_plan:
        assert asked == ("success", 5)
        assert ticker_of(world, asset) == ("ZZNEW.US", "ZZNEW.US")
        assert happened(world) == [("ZZNEW", "renamed")]
    else:
        assert asked == ("failed", 0)
        assert happened(world) == [(row["Code"], "delisted")]
        assert "does not include the record of symbol changes" in str(notes(world))
    assert world.value("SELECT count(*) FROM assets WHERE ticker = 'ZZNEW.US'") == 1


def test_a_list_by_the_vendors_events_from_day_to_day(world: World) -> None:
    world.simulator.clock(data=None)
    world.open(SPEC)
    assert world.preflight().code == 0
    given, gone, changed = (
        row["code"]
        for row in world.rows(
            "SELECT code FROM assets WHERE kind = 'listing' AND isin IS NOT NULL"
            " AND currency = 'CHF' ORDER BY code LIMIT 3"
        )
    )
    ids = {code: world.asset_id(f"{code}.SW") for code in (given, gone, changed)}
    world.rows("UPDATE exchanges SET listed_at = listed_at - interval '2 days' RETURNING id")
    on = yesterday()
    world.simulator.admin(
        "faults",
        [
            {"kind": "reuse", "ticker": f"{given}.SW", "on": on},
            {"kind": "delisting", "ticker": f"{gone}.SW", "on": on},
            {"kind": "change", "ticker": f"{changed}.SW", "on": on, "set": {"Currency": "EUR"}},
            {"kind": "listing", "ticker": "NEWCO.SW", "on": on},
        ],
    )
    world.open(SPEC, execution_id="run-2")

    assert world.preflight().code == 0

    assert world.rows(
        "SELECT ticker, listed FROM assets WHERE id = ANY (%s) ORDER BY id", list(ids.values())
    ) == [
        {"ticker": f"{given}_old.SW", "listed": False},
        {"ticker": f"{gone}.SW", "listed": False},
        {"ticker": f"{changed}.SW", "listed": True},
    ]
    assert sorted(
        (row["event"], row["code"])
        for row in world.rows(
            "SELECT event, code FROM asset_events JOIN assets ON assets.id = asset_id"
            " WHERE execution_id = 'run-2'"
        )
    ) == sorted(
        [
            ("renamed", f"{given}_old"),
            ("delisted", f"{given}_old"),
            ("new", given),
            ("delisted", gone),
            ("currency_changed", changed),
            ("new", "NEWCO"),
        ]
    )
    assert world.asset_id(f"{given}.SW") not in ids.values()
    # The next reading finds all as it was left.
    world.rows("UPDATE exchanges SET listed_at = listed_at - interval '2 days' RETURNING id")
    world.open(SPEC, execution_id="run-3")
    assert world.preflight().code == 0
    assert world.value("SELECT count(*) FROM asset_events WHERE execution_id = 'run-3'") == 0


async def test_fifty_thousand_rows_are_compared_and_stored_in_seconds(owner: Owner) -> None:
    rows = [
        Listing(f"C{n}", f"Company {n} Inc", "Common Stock", "USD", "USA", f"US{n:010}")
        for n in range(51_000)
    ]
    with login(owner) as url:
        async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as connection:
            cursor = connection.cursor()
            taken = []
            for listed in (rows, rows, rows[:-100]):
                began = time.monotonic()
                known = await listing.known_assets(cursor, 1)
                changes = settle(compare(known, listed, {"Common Stock"}), Proofs())
                await listing.store_changes(cursor, "run-1", 1, changes)
                taken.append(time.monotonic() - began)
            print(f"first, same, 100 fewer: {[round(each, 2) for each in taken]} s")
    found = owner.execute(
        "SELECT count(*), count(*) FILTER (WHERE listed) FROM financial_screener.assets"
    ).fetchone()
    assert found == (51_000, 50_900)
    # Generous: the machine of a test may be busy.
    assert taken[0] < 60 and max(taken[1:]) < 15
