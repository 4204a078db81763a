"""No look-ahead, from the vendor's day to the stored row: runs day by day, as dividends and a split
come, against `asOf` and `history` of a later day that knows them all."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import pytest
from analyzer_world import (
    Bar,
    Owner,
    add_bars,
    plan_and_carry_out,
    rows_of,
    walk,
)
from market import Asset, add_assets
from psycopg.types.json import Jsonb

from screener_analyzer.registry import COLUMNS, LONGEST_HISTORY

pytestmark = pytest.mark.integration

LENGTHS = {"YOUNG": 320, "OLD": LONGEST_HISTORY + 100}
"""The old one has more bars than a run reads: what adds up is carried on."""
DAYS = 16
"""So many runs, each a day later than the one before."""
DIVIDENDS = {4: 0.97, 11: 0.985}
SPLIT, RATIO = 8, 4
"""On which of these days, and what they come to."""


def quoted(code: str) -> list[Bar]:
    """As each bar was on its own day: neither adjusted nor re-based. All end on one day."""
    later = timedelta(days=max(LENGTHS.values()) - LENGTHS[code])
    return [
        bar._replace(
            date=bar.date + later, adj_close=bar.close, volume=1_000 + 37 * (bar.date.day % 11)
        )
        for bar in walk(len(code), LENGTHS[code])
    ]


def add_benchmark(owner: Owner) -> None:
    add_assets(owner, [Asset("IBEX", exchange="INDX")])
    owner.execute("UPDATE financial_screener.assets SET kind = 'index' WHERE code = 'IBEX'")
    owner.execute(
        "UPDATE financial_screener.exchanges SET benchmark = 'IBEX.INDX' WHERE code = 'MC'"
    )


def known_on(bars: Sequence[Bar], day: int) -> list[Bar]:
    """What the vendor has on that day: closes adjusted for what has been paid and split until then,
    volumes in shares of that day."""
    first = len(bars) - DAYS
    shown = []
    for n, bar in enumerate(bars[: first + day + 1]):
        split = RATIO if n < first + SPLIT <= first + day else 1
        paid = 1.0
        for ex, factor in DIVIDENDS.items():
            if n < first + ex <= first + day:
                paid *= factor
        # The quoted price falls with the split.
        price = RATIO if n < first + SPLIT else 1
        shown.append(
            bar._replace(
                open=bar.open * price,
                high=bar.high * price,
                low=bar.low * price,
                close=bar.close * price,
                adj_close=bar.close * price / split * paid,
                volume=bar.volume * split,
            )
        )
    return shown


def fetch(owner: Owner, ticker: str, bars: Sequence[Bar]) -> None:
    """The history as it is now in place of what is stored, as after an action."""
    with owner.transaction():
        owner.execute(
            "DELETE FROM financial_screener.stock_prices USING financial_screener.assets"
            " WHERE id = asset_id AND ticker = %s",
            (ticker,),
        )
        add_bars(owner, ticker, bars)


def act(owner: Owner, day: int, on: date) -> None:
    """Records what happens on that day, of every asset."""
    if day in DIVIDENDS:
        owner.execute(
            "INSERT INTO financial_screener.corporate_actions"
            " (asset_id, ex_date, kind, dividend, payload, execution_id)"
            " SELECT id, %s, 'dividend', 1, %s, 'x' FROM financial_screener.assets",
            (on, Jsonb({})),
        )
    if day == SPLIT:
        owner.execute(
            "INSERT INTO financial_screener.corporate_actions"
            " (asset_id, ex_date, kind, split_new, split_old, payload, execution_id)"
            " SELECT id, %s, 'split', %s, 1, %s, 'x' FROM financial_screener.assets",
            (on, RATIO, Jsonb({})),
        )


Rows = dict[tuple[str, object], dict[str, object]]
"""By asset and day."""


def numbers(owner: Owner) -> Rows:
    """What is stored."""
    return {
        (code, row["calculation_date"]): {column: row[column] for column in COLUMNS}
        for code in LENGTHS
        for row in rows_of(owner, f"{code}.MC")
    }


def forget(owner: Owner) -> None:
    owner.execute("TRUNCATE financial_screener.technical_indicators")


def assert_same(found: Rows, right: Rows) -> None:
    assert found.keys() == right.keys()
    for key, row in right.items():
        for column, value in row.items():
            here = found[key][column]
            assert (here is None) == (value is None), (key, column, here, value)
            assert here is None or here == pytest.approx(value, rel=1e-9, abs=1e-9), (key, column)


def come(owner: Owner, day: int, bars: Mapping[str, Sequence[Bar]]) -> None:
    """A session ends: its bars, and the histories again if something happened."""
    for code in bars:
        ticker = "IBEX.INDX" if code == "IBEX" else f"{code}.MC"
        now = known_on(bars[code], day) if code in LENGTHS else bars[code][: day + 1 - DAYS or None]
        if day == 0 or (code in LENGTHS and (day in DIVIDENDS or day == SPLIT)):
            fetch(owner, ticker, now)
        else:
            add_bars(owner, ticker, now[-1:])


@pytest.mark.parametrize("adjusted", ["all", "splits", "none"])
def test_a_row_of_a_day_is_what_a_later_run_as_of_that_day_gives(
    owner: Owner, analyzer_url: str, adjusted: str
) -> None:
    spec: dict[str, object] = {"adjusted": adjusted}
    add_assets(owner, [Asset(code) for code in LENGTHS])
    owner.execute("UPDATE financial_screener.assets SET currency = 'EUR'")
    add_benchmark(owner)
    bars = {code: quoted(code) for code in LENGTHS}
    days = [bar.date for bar in bars["OLD"][-DAYS:]]
    bars["IBEX"] = walk(9, LENGTHS["OLD"])

    day_by_day: Rows = {}
    for number, day in enumerate(days):
        come(owner, number, bars)
        act(owner, number, day)
        plan_and_carry_out(owner, analyzer_url, f"on {day}", spec=spec)
        stored = numbers(owner)
        assert day_by_day.items() <= stored.items(), "a stored row changes with nothing that comes"
        day_by_day = stored
    assert set(day_by_day) == {(code, day) for code in LENGTHS for day in days}
    known = {column for row in day_by_day.values() for column in row if row[column] is not None}
    assert known >= {column for column in COLUMNS if not column.endswith("_bars")}

    forget(owner)
    for day in days:
        plan_and_carry_out(
            owner, analyzer_url, f"as of {day}", mode="all", as_of=day, spec=spec
        )  # fmt: skip
    assert_same(numbers(owner), day_by_day)

    forget(owner)
    since = {"history": {"from": str(days[0])}}
    plan_and_carry_out(owner, analyzer_url, "history", mode="all", spec=spec | since)
    assert_same(numbers(owner), day_by_day)
