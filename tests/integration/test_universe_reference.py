"""Reference series: the benchmarks and exchange rates that a run's exchanges need, as assets."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from collector_world import Owner, World, login
from market import Asset
from simulator_fixture import DATA_MOMENT, Simulator

pytestmark = pytest.mark.integration


@pytest.fixture
def world(owner: Owner, simulator: Simulator) -> Iterator[World]:
    simulator.clock(data=DATA_MOMENT)
    with login(owner) as url:
        yield World(owner, url, simulator)


def spec(*exchanges: str, symbols: list[str] | None = None, **more: object) -> dict[str, object]:
    group: dict[str, object] = {"name": "all", "exchanges": list(exchanges)}
    if symbols is not None:
        group["symbols"] = symbols
    return {"groups": [group], "history": {"years": 1}, **more}


def reference(world: World) -> set[tuple[str, str, str]]:
    """Ticker, kind and currency of every reference series that has a state of the same ticker."""
    return {
        (row["ticker"], row["kind"], row["currency"])
        for row in world.rows(
            "SELECT assets.ticker, kind, currency FROM assets"
            " JOIN asset_processing_state AS state ON state.asset_id = assets.id"
            " AND state.ticker = assets.ticker WHERE kind <> 'listing'"
        )
    }


def test_a_benchmark_and_a_rate_come_with_the_exchange_and_its_listings(world: World) -> None:
    world.add(Asset("A", "LSE"), Asset("B", "LSE"), Asset("C", "LSE"), Asset("D", "LSE"))
    for code, currency in {"A": "GBX", "B": "SEK", "C": "Unknown", "D": "USD"}.items():
        world.owner.execute(
            "UPDATE financial_screener.assets SET currency = %s WHERE code = %s", (currency, code)
        )
    world.simulator.admin("account", {"withdrawn": ["exchange-symbol-list"]})
    world.open(spec("LSE"))

    assert world.preflight().code == 0

    assert reference(world) == {
        ("FTSE.INDX", "index", "GBP"),
        ("GBPUSD.FOREX", "fx", "USD"),
        ("SEKUSD.FOREX", "fx", "USD"),
    }


def test_exchanges_share_their_benchmark_and_dollars_need_no_rate(world: World) -> None:
    world.open(spec("F", "XETRA", "US", symbols=None))
    world.simulator.admin("account", {"withdrawn": ["exchange-symbol-list"]})
    world.add(Asset("A", "F"), Asset("A", "XETRA"), Asset("A", "US"))

    assert world.preflight().code == 0
    world.open(spec("XETRA"), execution_id="run-2")
    assert world.preflight().code == 0

    assert reference(world) == {
        ("GDAXI.INDX", "index", "EUR"),
        ("GSPC.INDX", "index", "USD"),
        ("EURUSD.FOREX", "fx", "USD"),
    }


def test_they_are_there_even_where_no_call_is_left(world: World) -> None:
    world.simulator.admin("account", {"used": 100_000})
    world.open(spec("SW", symbols=["NESN"]))

    assert world.preflight().code == 0

    assert {ticker for ticker, _, _ in reference(world)} == {"SSMI.INDX", "CHFUSD.FOREX"}


def test_rates_have_a_session_every_weekday_that_ends_with_it(world: World) -> None:
    world.open(spec("SW", symbols=["NESN"]))

    assert world.preflight().code == 0

    (session,) = world.rows(
        "SELECT session, closes_at FROM exchange_sessions JOIN exchanges ON id = exchange_id"
        " WHERE code = 'FOREX' AND session BETWEEN '2026-05-01' AND '2026-05-03'"
    )
    assert session["closes_at"] == datetime(2026, 5, 1, 23, 59, tzinfo=UTC)


def test_only_the_types_asked_for_are_collected_and_a_new_type_reads_the_list_again(
    world: World,
) -> None:
    world.open(spec("SW", assetTypes=["ETF"]))
    assert world.preflight().code == 0
    assert world.rows("SELECT DISTINCT type FROM assets WHERE kind = 'listing'") == [
        {"type": "ETF"}
    ]
    world.open(spec("SW", assetTypes=["ETF", "Common Stock"]), execution_id="run-2")

    assert world.preflight().code == 0

    types = world.rows("SELECT DISTINCT type FROM assets WHERE kind = 'listing' ORDER BY 1")
    assert [row["type"] for row in types] == ["Common Stock", "ETF"]
    world.open(spec("SW"), execution_id="run-3")
    assert world.preflight().code == 0
    assert (None, "preflight_symbols") not in world.details()
