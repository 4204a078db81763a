"""The screens in examples/screens find exactly the assets that they should, on a made market."""

from collections.abc import Iterator, Mapping

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import TupleRow
from screen_world import add_calendar, add_finding, add_listing
from system_fixture import PostgresServer

from screener_local.paths import PROJECT

pytestmark = pytest.mark.integration

FOLDER = PROJECT / "examples" / "screens"
USD = {"currency": "USD", "market_cap_currency": "USD"}

SCREENS: dict[str, tuple[Mapping[str, object], Mapping[str, tuple[float, ...]]]] = {
    # what an asset just inside has, and for each column the values that are just outside
    "value": (
        {"pe_ratio": 12, "price_book_mrq": 1.5, "return_on_equity_ttm": 0.08},
        {
            "pe_ratio": (12.001, 0, -5),
            "price_book_mrq": (1.501, 0, -1),
            "return_on_equity_ttm": (0.0799,),
        },
    ),
    "momentum": (
        {
            "return_12m": 43,
            "return_1m": 10,
            "last_price": 100.01,
            "sma_200": 100,
            "week_52_high_distance": -25,
            "traded_value_30": 1e6,
            "currency": "USD",
        },
        {
            "return_12m": (42.99, 10),
            "return_1m": (10.01,),
            "last_price": (100,),
            "sma_200": (100.01,),
            "week_52_high_distance": (-25.01,),
            "traded_value_30": (999_999,),
        },
    ),
    "golden_cross": (
        {
            "golden_cross_bars": 10,
            "sma_50": 100.01,
            "sma_200": 100,
            "last_price": 100.02,
            "slope": 0.001,
            "silent_bars_30": 0,
        },
        {
            "golden_cross_bars": (11,),
            "sma_50": (100, 100.02),
            "sma_200": (100.01,),
            "last_price": (100.01,),
            "slope": (0, -0.1),
            "silent_bars_30": (1,),
        },
    ),
    "oversold_in_uptrend": (
        {
            "rsi_14": 35,
            "last_price": 100.01,
            "sma_50": 100.01,
            "sma_200": 100,
            "silent_bars_30": 0,
        },
        {
            "rsi_14": (35.01,),
            "last_price": (100,),
            "sma_50": (100,),
            "sma_200": (100.01,),
            "silent_bars_30": (1,),
        },
    ),
    "high_dividend_with_cover": (
        {"dividend_yield": 0.04, "payout_ratio": 0.75, "market_cap": 1_000_000_000, **USD},
        {
            "dividend_yield": (0.0399, 0.1501),
            "payout_ratio": (0.7501, 0, -0.2),
            "market_cap": (999_999_999,),
        },
    ),
    "low_volatility": (
        {
            "volatility": 18,
            "market_cap": 5_000_000_000,
            "last_price": 100.01,
            "sma_200": 100,
            "return_12m": 0.01,
            "silent_bars_30": 0,
            "unchanged_bars": 4,
            **USD,
        },
        {
            "volatility": (18.01, 0),
            "market_cap": (4_999_999_999,),
            "last_price": (100,),
            "sma_200": (100.01,),
            "return_12m": (0, -1),
            "silent_bars_30": (1,),
            "unchanged_bars": (5,),
        },
    ),
    "breakout_52_weeks": (
        {"week_52_high_distance": -2, "relative_volume": 1.5},
        {"week_52_high_distance": (-2.01,), "relative_volume": (1.49,)},
    ),
    "quality": (
        {
            "return_on_equity_ttm": 0.15,
            "return_on_assets_ttm": 0.06,
            "operating_margin_ttm": 0.15,
            "quarterly_revenue_growth_yoy": 0.001,
        },
        {
            "return_on_equity_ttm": (0.1499,),
            "return_on_assets_ttm": (0.0599,),
            "operating_margin_ttm": (0.1499,),
            "quarterly_revenue_growth_yoy": (0, -0.1),
        },
    ),
    "liquid_small_caps": (
        {"market_cap": 300_000_000, "traded_value_30": 1e6, "silent_bars_30": 0, **USD},
        {
            "market_cap": (299_999_999, 2_000_000_001),
            "traded_value_30": (999_999,),
            "silent_bars_30": (1,),
        },
    ),
    "turnaround": (
        {
            "week_52_high_distance": -40,
            "return_1m": 0.01,
            "last_price": 60,
            "sma_50": 59.99,
            "macd_histogram": 0.001,
            "macd_rise_bars": 20,
            "quarterly_earnings_growth_yoy": 0.001,
        },
        {
            "week_52_high_distance": (-39.99,),
            "return_1m": (0, -0.1),
            "last_price": (59.99,),
            "sma_50": (60,),
            "macd_histogram": (0, -0.1),
            "macd_rise_bars": (21,),
            "quarterly_earnings_growth_yoy": (0, -0.5),
        },
    ),
}


@pytest.fixture(scope="module")
def shared(postgres_server: PostgresServer) -> Iterator[Connection[TupleRow]]:
    with (
        postgres_server.migrated_database() as database,
        psycopg.connect(database.owner_url, autocommit=True) as owner,
    ):
        yield owner


@pytest.fixture
def market(shared: Connection[TupleRow]) -> Iterator[Connection[TupleRow]]:
    """A transaction that is undone."""
    with shared.transaction(force_rollback=True):
        yield shared


def test_every_screen_is_tried() -> None:
    assert {file.stem for file in FOLDER.glob("*.sql")} == SCREENS.keys()
    assert len(SCREENS) >= 10


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_finds_exactly_what_it_should(market: Connection[TupleRow], name: str) -> None:
    inside, outside = SCREENS[name]
    *_, before, newest = add_calendar(market)
    add_listing(market, "IN.US", {**inside, "last_bar": newest})
    add_listing(market, "STALE.US", {**inside, "last_bar": before})
    add_listing(market, "NOROW.US", {**inside, "last_bar": None})
    for rule, severity in (("session_gap", "flag"), ("unit_switch", "quarantine")):
        add_finding(
            market,
            add_listing(market, f"{severity}.US", {**inside, "last_bar": newest}),
            rule,
            severity,
        )
    for number, (column, value) in enumerate(
        (column, value) for column, values in outside.items() for value in (*values, None)
    ):
        add_listing(market, f"OUT{number}.US", {**inside, column: value, "last_bar": newest})
    market.execute("SET CONSTRAINTS ALL IMMEDIATE")
    found = market.execute((FOLDER / f"{name}.sql").read_bytes())
    assert found.description is not None
    names = [column.name for column in found.description]
    assert [row[names.index("ticker")] for row in found] == ["IN.US"]
    assert {"name", "currency", "last_price", "last_bar"} <= set(names)
    # Nobody who looks at the answer misses what it was chosen by.
    shown = {"market_cap": "market_cap_usd", "traded_value_30": "traded_value_30_usd"}
    left_out = {"silent_bars_30", "unchanged_bars", "macd_histogram", "sma_200"}
    assert {shown.get(column, column) for column in outside} - left_out <= set(names)


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_says_what_it_finds_and_how_to_change_it(name: str) -> None:
    text = (FOLDER / f"{name}.sql").read_text()
    assert text.startswith("-- ")
    assert "\n-- Change it: " in text
    assert f"`examples/screens/{name}.sql`" in (PROJECT / "docs/screens.md").read_text()
