"""A code that is given to another company while no list is believed: what came by it meanwhile is
either's, and does not pass as the old company's.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from collector_world import Owner, World, login
from simulator_fixture import DATA_MOMENT, Simulator

pytestmark = pytest.mark.integration

SPEC = {
    "groups": [{"name": "swiss", "exchanges": ["SW"]}],
    "history": {"from": "2022-09-19"},
    "assetTypes": ["Common Stock"],
}
BEFORE = "2023-09-05T06:00:00Z"
"""When a list was believed last; the session of the 4th had closed."""
OWN_TO, GIVEN_ON, PAID_ON = date(2023, 9, 4), date(2023, 9, 12), date(2023, 9, 14)
TRUNCATED = {
    "endpoint": "exchange-symbol-list",
    "body": json.dumps([{"Code": "ABC", "Type": "Common Stock", "Name": "Abc"}]),
}


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    with login(owner) as url:
        yield World(owner, url, simulator)
    simulator.clock(data=DATA_MOMENT)


@dataclass
class Given:
    """An asset whose code is given away, with all that was fetched until a list was believed."""

    world: World
    code: str
    asset: int

    def fetch(self, *codes: str) -> None:
        """Bars, splits and dividends of what has the codes, in the run of the last preflight."""
        for code in codes:
            for kind in ("prices", "splits", "dividends"):
                self.world.plan(f"{code}.SW", kind)
        ended = self.world.group()
        assert ended.code == 0, ended.log

    def preflight(self, run: str) -> None:
        """A run's lists, as at an hour at which they are read."""
        self.world.open(SPEC, execution_id=run)
        self.world.rows("UPDATE exchanges SET listed_types = '{}' WHERE code = 'SW' RETURNING id")
        assert self.world.preflight().code == 0

    def bars(self) -> dict[date, float]:
        """Its stored closes by day."""
        rows = self.world.rows(
            "SELECT date, close FROM stock_prices WHERE asset_id = %s ORDER BY date", self.asset
        )
        return {row["date"]: row["close"] for row in rows}

    def aside(self) -> list[date]:
        """The days of its bars that are set aside by the rule."""
        rows = self.world.rows(
            "SELECT date FROM quarantined_bars WHERE asset_id = %s AND rule = 'code_reused'"
            " AND released_at IS NULL ORDER BY date",
            self.asset,
        )
        return [row["date"] for row in rows]

    def state(self) -> dict[str, Any]:
        """Its state."""
        (row,) = self.world.rows(
            "SELECT * FROM asset_processing_state WHERE asset_id = %s", self.asset
        )
        return row

    def findings(self) -> list[tuple[str, date, str]]:
        """By the rule: its findings' severity, first day and state."""
        rows = self.world.rows(
            "SELECT severity, date_from, state FROM data_findings"
            " WHERE asset_id = %s AND rule = 'code_reused'",
            self.asset,
        )
        return [(row["severity"], row["date_from"], row["state"]) for row in rows]


@pytest.fixture
def given(world: World) -> Given:
    world.simulator.clock(data=BEFORE)
    world.open(SPEC)
    assert world.preflight().code == 0
    rows = world.simulator.get("exchange-symbol-list/SW").json()
    isins = [row["Isin"] for row in rows]
    code = next(
        row["Code"]
        for row in rows
        if row["Isin"] and isins.count(row["Isin"]) == 1 and row["Type"] == "Common Stock"
        and len(world.simulator.get(f"eod/{row['Code']}.SW").json()) > 250
        and not world.simulator.get(f"splits/{row['Code']}.SW").json()
    )  # fmt: skip
    found = Given(world, code, world.asset_id(f"{code}.SW"))
    found.fetch(code)
    world.rows("UPDATE exchanges SET listed_at = %s WHERE code = 'SW' RETURNING id", BEFORE)
    world.rows(
        "UPDATE slices SET started_at = %s::timestamptz - interval '1 minute' RETURNING name::text",
        BEFORE,
    )
    assert max(found.bars()) == OWN_TO
    return found


def reuse(given: Given, *faults: dict[str, Any], isin: str | None = None) -> None:
    """The vendor gives the code away, to a company of which the list has this ISIN."""
    world = given.world
    world.simulator.clock(data=DATA_MOMENT)
    ticker = f"{given.code}.SW"
    event = {"kind": "reuse", "ticker": ticker, "on": str(GIVEN_ON), "set": {"Isin": isin}}
    world.simulator.admin("faults", [event, *faults])


def fetched_while_no_list_is_believed(given: Given) -> dict[date, float]:
    """Bars of the new company that are stored as the old one's: by day, their closes."""
    reuse(given, TRUNCATED)
    given.preflight("run-2")
    assert given.world.value("SELECT flags FROM exchanges WHERE code = 'SW'") == [
        "list_not_believed"
    ]
    given.fetch(given.code)
    wrong = {day: close for day, close in given.bars().items() if day > OWN_TO}
    assert min(wrong) == GIVEN_ON and len(wrong) > 3
    given.world.rows(
        "INSERT INTO corporate_actions (asset_id, ex_date, kind, dividend, payload, execution_id)"
        " VALUES (%s, %s, 'dividend', 1, '{}', 'run-2') RETURNING asset_id",
        given.asset,
        PAID_ON,
    )
    given.world.rows(
        "UPDATE assets SET sector = 'Energy', market_cap = 1, eodhd_general = '{}' WHERE id = %s"
        " RETURNING id",
        given.asset,
    )
    given.world.rows(
        "UPDATE asset_processing_state SET fundamentals_loaded = true,"
        " fundamentals_execution_id = 'run-2' WHERE asset_id = %s RETURNING asset_id",
        given.asset,
    )
    given.world.rows(
        "INSERT INTO indicator_states (asset_id, last_bar, read_at, execution_id)"
        " VALUES (%s, %s, now(), 'run-2') RETURNING asset_id",
        given.asset,
        max(wrong),
    )
    reuse(given)
    return wrong


def test_bars_since_the_last_believed_list_are_set_aside_with_all_that_hangs_on_them(
    given: Given,
) -> None:
    own = given.bars()
    (known,) = given.world.rows("SELECT name, isin FROM assets WHERE id = %s", given.asset)
    wrong = fetched_while_no_list_is_believed(given)

    given.preflight("run-3")

    assert given.world.value("SELECT code FROM assets WHERE id = %s", given.asset) == (
        f"{given.code}_old"
    )
    assert given.bars() == own
    assert given.aside() == sorted(wrong)
    first_day = OWN_TO + timedelta(days=1)
    assert given.findings() == [("quarantine", first_day, "open")]
    state = given.state()
    assert state["prices_last_date"] == state["prices_checked_to"] == OWN_TO
    assert state["wanted_to"] is not None and not state["in_universe"]
    assert not given.world.rows("SELECT FROM indicator_states WHERE asset_id = %s", given.asset)
    assert given.world.value(
        "SELECT withdrawn_at IS NOT NULL FROM corporate_actions WHERE asset_id = %s"
        " AND ex_date = %s",
        given.asset,
        PAID_ON,
    )
    assert not state["fundamentals_loaded"]
    assert given.world.rows(
        "SELECT name, isin, sector, market_cap, eodhd_general FROM assets WHERE id = %s",
        given.asset,
    ) == [known | {"sector": None, "market_cap": None, "eodhd_general": None}]
    new = given.world.asset_id(f"{given.code}.SW")
    assert new != given.asset
    (row,) = given.world.rows(
        "SELECT prices_loaded, in_universe FROM asset_processing_state WHERE asset_id = %s", new
    )
    assert row == {"prices_loaded": False, "in_universe": True}
    # Another run that reads the same list finds all as it was left.
    before = given.state() | {"updated_at": None}
    given.preflight("run-4")
    assert given.state() | {"updated_at": None} == before
    # The vendor knows both by their codes of now.
    given.fetch(f"{given.code}_old", given.code)
    rows = given.world.simulator.get(f"eod/{given.code}_old.SW").json()
    published = {date.fromisoformat(row["date"]): row["close"] for row in rows}
    assert max(given.bars()) == max(published) == GIVEN_ON - timedelta(days=1)
    assert given.bars() == {day: published[day] for day in published if day >= min(own)}
    assert given.aside() == sorted(wrong), "nobody has said that these are the old company's"
    rows = given.world.rows("SELECT date, close FROM stock_prices WHERE asset_id = %s", new)
    assert {row["date"]: row["close"] for row in rows} == wrong


def test_a_bar_that_was_the_old_companys_is_released_by_its_own_history(given: Given) -> None:
    """Fetched after the list, and before the code was given away."""
    given.world.simulator.clock(data="2023-09-11T06:00:00Z")
    given.world.simulator.admin("faults", [TRUNCATED])
    given.preflight("run-2")
    given.fetch(given.code)
    own = given.bars()
    doubtful = [day for day in own if day > OWN_TO]
    assert doubtful
    reuse(given)

    given.preflight("run-3")

    assert given.aside() == doubtful
    given.fetch(f"{given.code}_old")
    assert given.aside() == []
    assert {day: close for day, close in given.bars().items() if day in own} == own
    assert [state for _, _, state in given.findings()] == ["released"]


def test_where_lists_are_believed_each_day_nothing_is_set_aside(given: Given) -> None:
    own = given.bars()
    reuse(given)

    given.preflight("run-2")

    assert given.world.value("SELECT code FROM assets WHERE id = %s", given.asset) == (
        f"{given.code}_old"
    )
    assert given.bars() == own
    assert (given.aside(), given.findings()) == ([], [])


def test_a_whole_history_of_another_company_leaves_no_bar_believed(given: Given) -> None:
    """It had one before, under another code."""
    own = given.bars()
    given.world.simulator.admin("faults", [TRUNCATED])
    given.preflight("run-2")
    given.world.rows(
        "INSERT INTO price_revision_blocks (asset_id, execution_id, dates, old_close, new_close)"
        " SELECT asset_id, 'run-2', array_agg(date), array_agg(2 * close), array_agg(close)"
        " FROM stock_prices WHERE asset_id = %s GROUP BY asset_id RETURNING id",
        given.asset,
    )
    reuse(given)

    given.preflight("run-3")

    assert given.bars() == {}
    assert given.aside() == sorted(own)
    assert given.state()["prices_last_date"] is None
    given.fetch(f"{given.code}_old")
    assert given.bars().items() >= own.items()
    assert given.aside() == []


def test_a_person_may_say_that_they_are_its_own(given: Given) -> None:
    wrong = fetched_while_no_list_is_believed(given)
    given.preflight("run-3")
    finding = given.world.value("SELECT id FROM data_findings WHERE rule = 'code_reused'")
    assert given.world.value("SELECT release_finding(%s)", finding) == len(wrong)
    given.fetch(f"{given.code}_old")
    assert [state for _, _, state in given.findings()] == ["accepted"]
    assert given.bars().items() >= wrong.items()


NO_LIST_OF_DELISTED = {
    "endpoint": "exchange-symbol-list",
    "query": {"delisted": "1"},
    "body": "[]",
}


def test_another_company_is_told_by_its_bars_where_the_vendor_does_not_name_the_old_one(
    given: Given,
) -> None:
    """The new one has no ISIN on the list, so its name alone is another."""
    own = given.bars()
    reuse(given, NO_LIST_OF_DELISTED)

    given.preflight("run-2")

    assert given.world.value(
        "SELECT array_agg(status::text) FROM asset_processing_details"
        " WHERE execution_id = 'run-2' AND operation = 'preflight_bars'"
    ) == ["success"]
    assert given.world.value("SELECT code FROM assets WHERE id = %s", given.asset) == (
        f"{given.code}_old"
    )
    assert given.world.asset_id(f"{given.code}.SW") != given.asset
    assert (given.bars(), given.aside()) == (own, [])
    # The vendor may have a third company by that code, which is ours.
    assert given.state()["wanted_to"] is None


@pytest.mark.parametrize("said", [{"Isin": "CH0000000009"}, {"Name": "Another Name AG"}], ids=str)
def test_a_company_with_another_isin_or_name_is_the_same_by_its_bars(
    given: Given, said: dict[str, str]
) -> None:
    world = given.world
    world.simulator.clock(data=DATA_MOMENT)
    ticker = f"{given.code}.SW"
    event = {"kind": "change", "ticker": ticker, "on": str(GIVEN_ON), "set": said}
    world.simulator.admin("faults", [event])
    if "Name" in said:
        world.rows("UPDATE assets SET isin = NULL WHERE id = %s RETURNING id", given.asset)

    given.preflight("run-2")

    assert world.asset_id(ticker) == given.asset
    assert world.details()[None, "preflight_bars"] == ("success", 1)
    assert given.state()["needs_prices_reprocess"] == ("Isin" in said)
    assert given.aside() == []


def test_an_isin_that_fundamentals_gave_while_no_list_was_believed_proves_nothing(
    given: Given,
) -> None:
    """The list has none of the old company's, and shows the new one's, which is stored by then."""
    world, isin = given.world, "CH0000000009"
    own = given.bars()
    world.rows("UPDATE assets SET isin = NULL WHERE id = %s RETURNING id", given.asset)
    reuse(given, TRUNCATED, isin=isin)
    given.preflight("run-2")
    world.plan(f"{given.code}.SW", "fundamentals")
    given.fetch(given.code)
    wrong = [day for day in given.bars() if day > OWN_TO]
    assert wrong
    assert world.value("SELECT isin FROM assets WHERE id = %s", given.asset) == isin
    reuse(given, isin=isin)

    given.preflight("run-3")

    assert world.value("SELECT code FROM assets WHERE id = %s", given.asset) == f"{given.code}_old"
    assert world.rows(
        "SELECT isin, isin_unproved, sector FROM assets WHERE id = %s", given.asset
    ) == [{"isin": None, "isin_unproved": False, "sector": None}]
    assert (given.bars(), given.aside()) == (own, wrong)
    new = world.asset_id(f"{given.code}.SW")
    assert new != given.asset
    assert world.value("SELECT isin FROM assets WHERE id = %s", new) == isin


def test_an_isin_that_fundamentals_gave_is_the_assets_once_a_list_shows_it(given: Given) -> None:
    """Also where the list has none."""
    world = given.world
    world.rows("UPDATE assets SET isin = NULL WHERE id = %s RETURNING id", given.asset)
    listed = [row | {"Isin": None} for row in world.simulator.get("exchange-symbol-list/SW").json()]
    without = {"endpoint": "exchange-symbol-list", "body": json.dumps(listed)}
    world.simulator.admin("faults", [without])
    given.preflight("run-2")
    world.plan(f"{given.code}.SW", "fundamentals")
    given.fetch()
    said = world.rows("SELECT isin, isin_unproved FROM assets WHERE id = %s", given.asset)
    assert said[0]["isin"] and said[0]["isin_unproved"]

    given.preflight("run-3")

    assert world.rows("SELECT isin, isin_unproved FROM assets WHERE id = %s", given.asset) == [
        said[0] | {"isin_unproved": False}
    ]
    assert world.asset_id(f"{given.code}.SW") == given.asset
    assert given.aside() == []


@pytest.mark.parametrize(
    ("said", "is_same"),
    [
        ({"Isin": "CH0000000009"}, True),
        ({"Isin": "CH0000000009", "Name": "Another Name AG"}, False),
    ],
    ids=["another ISIN", "another ISIN and another name"],
)
def test_of_a_listing_with_too_few_bars_its_isin_and_name_together_tell(
    given: Given, said: dict[str, str], is_same: bool
) -> None:
    world = given.world
    days = sorted(given.bars())[-4:]
    world.rows(
        "DELETE FROM stock_prices WHERE asset_id = %s AND date < %s RETURNING date",
        given.asset,
        days[0],
    )
    world.simulator.clock(data=DATA_MOMENT)
    ticker = f"{given.code}.SW"
    event = {"kind": "change", "ticker": ticker, "on": str(GIVEN_ON), "set": said}
    world.simulator.admin("faults", [event])

    given.preflight("run-2")

    assert (world.asset_id(ticker) == given.asset) == is_same
    assert sorted(given.bars()) == days
    assert (None, "preflight_bars") not in world.details()
