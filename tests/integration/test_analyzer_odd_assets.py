"""Assets that are not as most are, side by side in a run: with one bar, with a bar that is no
number, delisted, halted. Of each what is known, NULL for the rest, and a screen that can tell."""

from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from analyzer_world import (
    FIRST_DAY,
    Bar,
    Owner,
    add_bars,
    details,
    farthest,
    items,
    plan_and_carry_out,
    rows_of,
    slice_of,
    value,
    walk,
)
from market import Asset, add_assets

pytestmark = pytest.mark.integration

NAN = float("nan")
LENGTH, MONTH = 420, 30
WRONG = LENGTH - 30
"""Which bar is no number: without a close its volume counts for nothing either."""
TODAY = FIRST_DAY + timedelta(days=LENGTH - 1)
"""Of the last session."""


def ending(bars: Sequence[Bar], ago: int = 0) -> list[Bar]:
    """The same bars, the last of them so many days ago."""
    later = TODAY - timedelta(days=ago) - bars[-1].date
    return [bar._replace(date=bar.date + later) for bar in bars]


def silent(bar: Bar, days: int) -> Bar:
    """What is published of a share that is not traded: its last close, again and again."""
    close, adjusted = bar.close, bar.adj_close
    day = bar.date + timedelta(days=days)
    return Bar(day, close, close, close, close, adjusted, 0)


WALK = walk(3, LENGTH)
ONE = ending(WALK[:1])
DELISTED = WALK[:300]
"""No bar for 120 days."""
HALTED = WALK[:-MONTH]
RESUMED = [*WALK[: -MONTH - 10], *WALK[-10:]]
SUSPENDED = [*HALTED, *(silent(HALTED[-1], n) for n in range(1, MONTH + 1))]
NOT_A_NUMBER = [
    bar._replace(close=NAN, adj_close=NAN) if n == WRONG else bar for n, bar in enumerate(WALK)
]
BARS = {
    "LIVING": WALK,
    "ONE": ONE,
    "DELISTED": DELISTED,
    "HALTED": HALTED,
    "RESUMED": RESUMED,
    "SUSPENDED": SUSPENDED,
    "NAN": NOT_A_NUMBER,
}


@pytest.fixture
def after(owner: Owner, analyzer_url: str) -> Owner:
    """After a run over all of them."""
    add_assets(owner, [Asset(code, listed=code != "DELISTED") for code in BARS])
    owner.execute(
        "INSERT INTO financial_screener.exchange_sessions"
        " SELECT id, %s::date + n, %s::date + n + time '16:30' AT TIME ZONE 'UTC'"
        " FROM financial_screener.exchanges, generate_series(0, %s) AS n WHERE code = 'MC'",
        (FIRST_DAY, FIRST_DAY, LENGTH - 1),
    )
    for code, bars in BARS.items():
        add_bars(owner, f"{code}.MC", bars)
    plan_and_carry_out(owner, analyzer_url, "run")
    return owner


def row(owner: Owner, code: str) -> dict[str, object]:
    [found] = rows_of(owner, f"{code}.MC")
    return found


def test_each_has_the_row_of_its_last_bar_and_every_row_is_judged(after: Owner) -> None:
    assert items(after, "run") == {f"{code}.MC": ("succeeded", None) for code in BARS}
    assert details(after, "run") == {f"{code}.MC": ("success", None, 1, 0) for code in BARS}
    assert slice_of(after, "run")[:3] == (True, True, True)
    assert value(after, "SELECT verified_rows FROM financial_screener.slices") == len(BARS)
    for code, stored in BARS.items():
        bars = list(stored)
        found = row(after, code)
        assert found["calculation_date"] == found["last_bar"] == bars[-1].date
        assert found["bars_used"] == len(bars)
        if code == "NAN":
            bars[WRONG] = bars[WRONG]._replace(volume=NAN)  # type: ignore[arg-type]
        assert farthest(found, bars) < 1e-9


def test_a_screen_can_leave_out_what_is_no_longer_traded(after: Owner) -> None:
    seen = {
        code: tuple(rest)
        for code, *rest in after.execute(
            "SELECT code, listed, last_bar, bars_used, is_stale FROM financial_screener.v_screener"
        )
    }
    assert seen == {
        "LIVING": (True, TODAY, LENGTH, False),
        "ONE": (True, TODAY, 1, False),
        "DELISTED": (False, DELISTED[-1].date, 300, True),
        "HALTED": (True, TODAY - timedelta(days=MONTH), LENGTH - MONTH, True),
        "RESUMED": (True, TODAY, LENGTH - MONTH, False),
        "SUSPENDED": (True, TODAY, LENGTH, False),
        "NAN": (True, TODAY, LENGTH, False),
    }


def test_with_one_bar_little_is_known(after: Owner) -> None:
    known = {column for column, found in row(after, "ONE").items() if found is not None}
    assert known == {
        "asset_id", "calculation_date", "last_bar", "bars_used", "calculated_at", "execution_id",
        "current_price", "obv", "adi", "nvi", "cumulative_return", "unchanged_bars",
    }  # fmt: skip
    assert row(after, "ONE")["current_price"] == ONE[0].close


def test_a_bar_that_is_no_number_is_not_computed_across(after: Owner) -> None:
    found = row(after, "NAN")
    for column in ("bb_middle", "stoch_k", "wma_20", "current_price", "return_1m"):
        assert found[column] == row(after, "LIVING")[column] is not None, column
    for column in ("sma_50", "sma_200", "ema_12", "rsi_14", "macd", "obv", "drawdown"):
        assert found[column] is None, column


def test_a_delisted_asset_keeps_what_it_had(after: Owner) -> None:
    found = row(after, "DELISTED")
    assert found["current_price"] == DELISTED[-1].close
    month_ago = DELISTED[-31]
    assert (month_ago.date, DELISTED[-1].date) == (date(2022, 9, 29), date(2022, 10, 29))
    assert found["return_1m"] == pytest.approx(
        100 * (DELISTED[-1].adj_close / month_ago.adj_close - 1)
    ), "of its own last month"


def test_a_month_without_a_bar_is_seen_and_its_bars_are_not_made_up(after: Owner) -> None:
    found = row(after, "RESUMED")
    last = [bar.adj_close for bar in RESUMED[-20:]]
    assert found["bb_middle"] == pytest.approx(sum(last) / 20), "the 20 bars that there are"
    assert found["days_since_previous_bar"] == 1
    month_ago = RESUMED[-11]  # the last bar before the halt is the last on or before that day
    assert found["return_1m"] == pytest.approx(
        100 * (RESUMED[-1].adj_close / month_ago.adj_close - 1)
    )


def test_a_month_of_silence_has_averages_and_no_oscillators(after: Owner) -> None:
    found = row(after, "SUSPENDED")
    assert found["bb_middle"] == pytest.approx(SUSPENDED[-1].adj_close)
    assert (found["unchanged_bars"], found["silent_bars_30"]) == (MONTH, MONTH)
    assert (found["return_1m"] is not None, found["return_1d"]) == (True, 0)
    for column in ("stoch_k", "williams_r", "cci_20", "bb_percent", "mfi_14", "cmf_20", "vwap_14",
                   "relative_volume", "illiquidity_30"):  # fmt: skip
        assert found[column] is None, column
