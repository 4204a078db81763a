"""The analyzer as a Job runs it: its own process and its own login, on real Postgres."""

import math
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pytest
import ta
from analyzer_world import (
    FIRST_DAY,
    Bar,
    Owner,
    add_assets_with_bars,
    add_bars,
    add_split,
    analyze,
    carry_out,
    details,
    environment,
    everything,
    farthest,
    items,
    nobody_stores,
    plan,
    rows_of,
    slice_of,
    start,
    state_of,
    until,
    value,
    wait,
    walk,
)
from market import Asset, add_assets

from screener_analyzer.registry import COLUMNS, LONGEST_HISTORY
from screener_analyzer.store import Store
from screener_analyzer.worker import registered
from screener_sql.model import ExitCode

pytestmark = pytest.mark.integration

THIRTY = {f"A{number}": length for number, length in enumerate(
    [1, 2, 3, 13, 14, 15, 20, 26, 27, 28, 29, 30, 31, 33, 34, 49, 50, 89, 90, 120,
     199, 200, 210, 251, 252, 253, 300, 300, 400, 700]
)}  # fmt: skip


def test_a_run_over_thirty_assets_stores_what_their_bars_give(
    owner: Owner, analyzer_url: str
) -> None:
    add_assets_with_bars(owner, THIRTY)
    plan(owner, "run")
    ended = analyze(analyzer_url, "run")
    assert (ended.code, slice_of(owner, "run")[:3]) == (0, (True, True, True)), ended.log
    assert items(owner, "run") == {f"{code}.MC": ("succeeded", None) for code in THIRTY}
    assert details(owner, "run") == {f"{code}.MC": ("success", None, 1, 0) for code in THIRTY}
    for seed, (code, length) in enumerate(THIRTY.items()):
        bars = walk(seed, length)
        [stored] = rows_of(owner, f"{code}.MC")
        assert farthest(stored, bars) < 1e-9
        assert stored["calculation_date"] == stored["last_bar"] == bars[-1].date
        assert stored["bars_used"] == min(length, LONGEST_HISTORY)
        assert stored["execution_id"] == "run"


def test_no_stored_value_is_nan(owner: Owner, analyzer_url: str) -> None:
    add_assets_with_bars(owner, {"ONE": 1, "FLAT": 0, "LONG": 300})
    add_bars(owner, "FLAT.MC", [bar._replace(open=9, high=9, low=9, close=9, adj_close=9, volume=0)
                                for bar in walk(9, 260)])  # fmt: skip
    plan(owner, "run")
    assert analyze(analyzer_url, "run").code == 0
    for ticker in ("ONE.MC", "FLAT.MC", "LONG.MC"):
        [stored] = rows_of(owner, ticker)
        numbers = [stored[column] for column in COLUMNS if stored[column] is not None]
        assert all(isinstance(number, float) and math.isfinite(number) for number in numbers)
    [one] = rows_of(owner, "ONE.MC")
    assert {column for column in COLUMNS if one[column] is not None} == {
        "current_price", "obv", "adi", "nvi", "cumulative_return", "unchanged_bars",
    }  # fmt: skip


def test_the_state_says_which_bars_the_indicators_are_of(owner: Owner, analyzer_url: str) -> None:
    add_assets_with_bars(owner, {"SAN": 300})
    owner.execute(
        "UPDATE financial_screener.asset_processing_state"
        " SET needs_indicators_reprocess = true, indicators_failures = 2,"
        "     last_error_code = 'no_bars', last_error_message = 'x', last_error_at = now()"
    )
    before = value(owner, "SELECT clock_timestamp()")
    plan(owner, "run")
    assert analyze(analyzer_url, "run").code == 0
    state = state_of(owner, "SAN.MC")
    expected = {
        "indicators_calculated": True,
        "indicators_last_date": walk(0, 300)[-1].date,
        "indicators_execution_id": "run",
        "needs_indicators_reprocess": False,
        "consecutive_failures": 0,
        "last_error_code": None,
        "last_error_message": None,
        "last_error_at": None,
    }
    assert {name: state[name] for name in expected} == expected
    calculated_at = state["indicators_calculated_at"]
    assert isinstance(calculated_at, datetime)
    assert isinstance(before, datetime)
    assert before < calculated_at
    assert calculated_at < value(
        owner, "SELECT completed_at FROM financial_screener.asset_processing_details"
    )
    plan(owner, "again")
    assert items(owner, "again") == {"SAN.MC": ("skipped", "up_to_date")}


def test_a_failure_of_another_operation_stays_in_the_state(owner: Owner, analyzer_url: str) -> None:
    add_assets_with_bars(owner, {"SAN": 30})
    owner.execute(
        "UPDATE financial_screener.asset_processing_state"
        " SET prices_failures = 2, last_error_code = 'not_found', last_error_message = 'x'"
    )
    plan(owner, "run")
    assert analyze(analyzer_url, "run").code == 0
    state = state_of(owner, "SAN.MC")
    assert (state["consecutive_failures"], state["last_error_code"]) == (2, "not_found")


def test_starting_it_again_changes_nothing(owner: Owner, analyzer_url: str) -> None:
    add_assets_with_bars(owner, {"SAN": 60, "BBVA": 30})
    plan(owner, "run")
    assert analyze(analyzer_url, "run").code == 0
    snapshot = [*everything(owner), details(owner, "run"), slice_of(owner, "run"),
                state_of(owner, "SAN.MC")]  # fmt: skip
    assert analyze(analyzer_url, "run").code == 0
    assert [*everything(owner), details(owner, "run"), slice_of(owner, "run"),
            state_of(owner, "SAN.MC")] == snapshot  # fmt: skip


def test_another_run_over_the_same_bars_gives_the_same_rows(
    owner: Owner, analyzer_url: str
) -> None:
    add_assets_with_bars(owner, {"SAN": 60, "BBVA": 300})
    plan(owner, "first")
    assert analyze(analyzer_url, "first").code == 0
    rows = everything(owner)
    plan(owner, "second", mode="all")
    assert analyze(analyzer_url, "second").code == 0
    assert everything(owner) == rows
    assert set(details(owner, "second").values()) == {("success", None, 0, 1)}


def test_a_new_bar_gives_a_new_row_and_keeps_the_old(owner: Owner, analyzer_url: str) -> None:
    bars = walk(0, 61)
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", bars[:60])
    plan(owner, "first")
    assert analyze(analyzer_url, "first").code == 0
    add_bars(owner, "SAN.MC", bars[60:])
    plan(owner, "second")
    assert analyze(analyzer_url, "second").code == 0
    assert [row["calculation_date"] for row in rows_of(owner, "SAN.MC")] == [
        bars[59].date, bars[60].date,
    ]  # fmt: skip


def test_an_asset_without_bars_fails_and_the_others_do_not(owner: Owner, analyzer_url: str) -> None:
    add_assets_with_bars(owner, {"SAN": 30})
    add_assets(owner, [Asset("NONE")])
    plan(owner, "run", symbols=("SAN", "NONE"))
    assert analyze(analyzer_url, "run").code == 0
    assert items(owner, "run") == {
        "SAN.MC": ("succeeded", None), "NONE.MC": ("failed", "no_bars"),
    }  # fmt: skip
    assert details(owner, "run")["NONE.MC"] == ("failed", "no_bars", 0, 0)
    state = state_of(owner, "NONE.MC")
    assert not state["indicators_calculated"]
    said = [state[f"last_error_{part}"] for part in ("code", "message")]
    assert (state["consecutive_failures"], *said) == (1, "no_bars", "no bar is stored")


def test_a_run_in_which_all_fail_ends_and_says_that_nothing_was_verified(
    owner: Owner, analyzer_url: str
) -> None:
    add_assets(owner, [Asset("NONE")])
    plan(owner, "run", symbols=("NONE",))
    assert analyze(analyzer_url, "run").code == 0
    assert slice_of(owner, "run") == (
        True, True, True, "no row was stored that could be verified",
    )  # fmt: skip


def test_an_asset_that_awaits_its_history_is_left_alone_by_the_plan(
    owner: Owner, analyzer_url: str
) -> None:
    add_assets_with_bars(owner, {"SAN": 30, "SPLIT": 30})
    owner.execute(
        "UPDATE financial_screener.asset_processing_state SET needs_prices_reprocess = true"
        " WHERE ticker = 'SPLIT.MC'"
    )
    plan(owner, "run")
    assert analyze(analyzer_url, "run").code == 0
    assert items(owner, "run")["SPLIT.MC"] == ("skipped", "awaiting_refetch")
    assert rows_of(owner, "SPLIT.MC") == []
    assert not state_of(owner, "SPLIT.MC")["indicators_calculated"]


def test_an_action_seen_after_the_plan_leaves_its_asset_alone_too(
    owner: Owner, analyzer_url: str
) -> None:
    add_assets_with_bars(owner, {"SAN": 30, "SPLIT": 30})
    plan(owner, "run")
    owner.execute(
        "UPDATE financial_screener.asset_processing_state SET needs_prices_reprocess = true"
        " WHERE ticker = 'SPLIT.MC'"
    )
    assert analyze(analyzer_url, "run").code == 0
    assert items(owner, "run") == {
        "SAN.MC": ("succeeded", None), "SPLIT.MC": ("skipped", "awaiting_refetch"),
    }  # fmt: skip
    assert details(owner, "run")["SPLIT.MC"] == ("skipped", "awaiting_refetch", 0, 0)
    assert rows_of(owner, "SPLIT.MC") == []


def test_as_of_uses_no_later_bar_and_leaves_the_latest_due(owner: Owner, analyzer_url: str) -> None:
    bars = walk(0, 300)
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", bars)
    plan(owner, "past", as_of=bars[279].date)
    assert analyze(analyzer_url, "past").code == 0
    [stored] = rows_of(owner, "SAN.MC")
    assert stored["calculation_date"] == bars[279].date
    assert farthest(stored, bars[:280]) < 1e-9
    assert slice_of(owner, "past")[2] is True
    assert not state_of(owner, "SAN.MC")["indicators_calculated"]
    plan(owner, "now")
    assert analyze(analyzer_url, "now").code == 0
    assert state_of(owner, "SAN.MC")["indicators_last_date"] == bars[-1].date
    assert len(rows_of(owner, "SAN.MC")) == 2


def test_as_of_a_day_without_a_bar_uses_the_one_before(owner: Owner, analyzer_url: str) -> None:
    bars = [bar for bar in walk(0, 60) if bar.date.weekday() < 5]
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", bars)
    sunday = bars[-1].date + timedelta(days=6 - bars[-1].date.weekday())
    plan(owner, "run", as_of=sunday)
    assert analyze(analyzer_url, "run").code == 0
    assert rows_of(owner, "SAN.MC")[0]["calculation_date"] == bars[-1].date
    assert state_of(owner, "SAN.MC")["indicators_calculated"]


def test_as_of_before_the_first_bar_fails_with_the_date(owner: Owner, analyzer_url: str) -> None:
    add_assets_with_bars(owner, {"SAN": 30})
    plan(owner, "run", as_of=date(2021, 6, 1))
    assert analyze(analyzer_url, "run").code == 0
    assert items(owner, "run") == {"SAN.MC": ("failed", "no_bars")}
    assert state_of(owner, "SAN.MC")["last_error_message"] == "no bar is stored up to 2021-06-01"


def test_bars_before_2000_have_their_place(owner: Owner, analyzer_url: str) -> None:
    bars = [bar._replace(date=bar.date - timedelta(days=365 * 30)) for bar in walk(0, 30)]
    add_assets(owner, [Asset("OLD")])
    add_bars(owner, "OLD.MC", bars)
    plan(owner, "run")
    assert analyze(analyzer_url, "run").code == 0
    assert rows_of(owner, "OLD.MC")[0]["calculation_date"] == bars[-1].date


# --- what a spec asks for ---------------------------------------------------------------------


def test_every_day_of_a_history_has_the_row_that_it_would_have_had_then(
    owner: Owner, analyzer_url: str
) -> None:
    bars = walk(0, 300)
    add_assets(owner, [Asset("SAN"), Asset("NEW")])
    add_bars(owner, "SAN.MC", bars)
    add_bars(owner, "NEW.MC", walk(1, 5))
    plan(owner, "history", spec={"history": {"from": str(bars[290].date)}})
    assert analyze(analyzer_url, "history").code == 0
    stored = rows_of(owner, "SAN.MC")
    assert [row["calculation_date"] for row in stored] == [bar.date for bar in bars[290:]]
    assert [row["bars_used"] for row in stored] == list(range(291, 301))
    assert max(farthest(row, bars[: 291 + n]) for n, row in enumerate(stored)) < 1e-9
    assert details(owner, "history")["SAN.MC"] == ("success", None, 10, 0)
    # One whose last bar is older has the row of that.
    assert [row["calculation_date"] for row in rows_of(owner, "NEW.MC")] == [walk(1, 5)[-1].date]
    for day in (290, 295):
        plan(owner, f"then-{day}", mode="all", symbols=("SAN",), as_of=bars[day].date)
        assert analyze(analyzer_url, f"then-{day}").code == 0
        assert details(owner, f"then-{day}")["SAN.MC"] == ("success", None, 0, 1)
    for row, then in zip(stored, rows_of(owner, "SAN.MC"), strict=True):
        for column in COLUMNS:
            assert (row[column] is None) == (then[column] is None)
            if row[column] is not None:
                assert row[column] == pytest.approx(then[column], rel=1e-9)


def test_screens_show_the_newest_row_of_a_history_of_years(owner: Owner, analyzer_url: str) -> None:
    since = date(1999, 12, 1) - FIRST_DAY
    bars = [bar._replace(date=bar.date + since) for bar in walk(0, 400)]
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", bars)
    plan(owner, "run", spec={"history": {"from": str(bars[0].date)}})
    assert analyze(analyzer_url, "run").code == 0
    stored = rows_of(owner, "SAN.MC")
    assert [row["calculation_date"] for row in stored] == [bar.date for bar in bars]
    assert all(row["last_bar"] == row["calculation_date"] for row in stored)
    assert [row["bars_used"] for row in stored] == list(range(1, 401))
    assert owner.execute(
        "SELECT DISTINCT class.relname FROM financial_screener.technical_indicators AS stored"
        " JOIN pg_class AS class ON class.oid = stored.tableoid ORDER BY 1"
    ).fetchall() == [(f"technical_indicators_{part}",) for part in ("2000", "2001", "before_2000")]
    assert owner.execute(
        "SELECT last_bar, sma_200, obv FROM financial_screener.v_screener"
    ).fetchall() == [tuple(stored[-1][name] for name in ("last_bar", "sma_200", "obv"))]


def test_a_history_of_some_columns_leaves_the_others_as_they_are(
    owner: Owner, analyzer_url: str
) -> None:
    bars = walk(0, 300)
    add_assets(owner, [Asset("SAN"), Asset("NEW")])
    wanted = ("sma_50", "macd", "obv", "return_1m")
    spec = {"history": {"from": str(bars[290].date), "columns": list(wanted)}}
    for ticker in ("SAN.MC", "NEW.MC"):
        add_bars(owner, ticker, bars)
    # Of one asset each day has a row with every column already, of the other one day.
    since = {"history": {"from": str(bars[290].date)}, "extra": EXTRA}
    plan(owner, "every", mode="all", symbols=("SAN",), spec=since)
    plan(owner, "one", mode="all", symbols=("NEW",), as_of=bars[295].date)
    assert [analyze(analyzer_url, name).code for name in ("every", "one")] == [0, 0]
    every = rows_of(owner, "SAN.MC")
    owner.execute("UPDATE financial_screener.technical_indicators SET sma_50 = -1, rsi_14 = -2")
    plan(owner, "some", mode="all", spec=spec)
    ended = analyze(analyzer_url, "some")
    assert ended.code == 0, ended.log
    assert details(owner, "some") == {
        "SAN.MC": ("success", None, 0, 10),
        "NEW.MC": ("success", None, 9, 1),
    }
    for ticker in ("SAN.MC", "NEW.MC"):
        stored = rows_of(owner, ticker)
        assert [row["calculation_date"] for row in stored] == [bar.date for bar in bars[290:]]
        assert {row["execution_id"] for row in stored} == {"some"}
        for row, right in zip(stored, every, strict=True):
            assert row["bars_used"] == right["bars_used"]
            last, before = row is stored[-1], row["calculation_date"] == bars[295].date
            for column in COLUMNS:
                should = right[column]
                if not last and column not in wanted:
                    should = should if ticker == "SAN.MC" or before else None
                    should = -2 if column == "rsi_14" and should is not None else should
                if should is not None:
                    should = pytest.approx(should, rel=1e-9)
                assert row[column] == should, column
            # What the run names none of is kept where the row is not wholly its own.
            assert row["extra"] == (right["extra"] if ticker == "SAN.MC" and not last else None)


def test_sampled_days_of_a_history_are_judged_by_the_columns_that_they_have(
    owner: Owner, analyzer_url: str
) -> None:
    add_assets_with_bars(owner, {"SAN": 100})
    day = FIRST_DAY + timedelta(days=90)
    history = {"from": str(day), "columns": ["sma_50", "rsi_14"]}
    plan(owner, "right", spec={"history": history, "verify": {"sample": 10}})
    assert analyze(analyzer_url, "right").code == 0
    assert value(owner, "SELECT verified_rows FROM financial_screener.slices") == 10
    plan(owner, "wrong", mode="all", spec={"history": history, "verify": {"sample": 10}})
    with tampering(owner, f"IF NEW.calculation_date = '{day}' THEN NEW.rsi_14 := 1; END IF"):
        assert analyze(analyzer_url, "wrong").code == 13
    assert re.search(rf"on {day} differ: rsi_14 is 1\.0, should be", str(slice_of(owner, "wrong")))


def test_a_column_that_there_is_not_is_an_invalid_spec(owner: Owner, analyzer_url: str) -> None:
    add_assets_with_bars(owner, {"SAN": 30})
    plan(owner, "run", spec={"history": {"from": "2022-01-03", "columns": ["sma_50", "sma"]}})
    ended = analyze(analyzer_url, "run")
    assert ended.code == 12
    said = str(ended.lines[-1]["message"])
    assert said.startswith("spec.history.columns[1]: 'sma' is no column of indicators; there are ")
    assert "unchanged_bars" in said
    assert items(owner, "run") == {"SAN.MC": ("planned", None)}
    assert rows_of(owner, "SAN.MC") == []


def test_a_history_that_begins_after_many_bars_has_what_adds_up_since_the_first(
    owner: Owner, analyzer_url: str
) -> None:
    bars = walk(0, LONGEST_HISTORY + 60)
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", bars)
    plan(owner, "run", spec={"history": {"from": str(bars[-5].date)}, "verify": {"sample": 5}})
    assert analyze(analyzer_url, "run").code == 0
    stored = rows_of(owner, "SAN.MC")
    assert [row["calculation_date"] for row in stored] == [bar.date for bar in bars[-5:]]
    assert max(farthest(row, bars[: len(bars) - 4 + n]) for n, row in enumerate(stored)) < 1e-9
    assert all(row["obv"] is not None for row in stored)


@pytest.mark.parametrize(
    ("adjusted", "high", "volume"),
    [("all", 10.0, 400.0), ("splits", 20.0, 400.0), ("none", 40.0, 200.0)],
)
def test_prices_are_adjusted_for_what_the_spec_says(
    owner: Owner, analyzer_url: str, adjusted: str, high: float, volume: float
) -> None:
    # A split of 2:1 and a dividend that halved what is left, on the 31st day.
    bars = [
        Bar(FIRST_DAY + timedelta(days=day), *([40.0 if day < 30 else 20.0] * 4),
            10.0 if day < 30 else 20.0, 400)
        for day in range(30)
    ]  # fmt: skip
    bars.append(Bar(FIRST_DAY + timedelta(days=30), 20.0, 20.0, 20.0, 20.0, 20.0, 400))
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", bars)
    add_split(owner, "SAN.MC", bars[30].date, 2, 1)
    plan(owner, "run", spec={"adjusted": adjusted})
    ended = analyze(analyzer_url, "run")
    assert ended.code == 0, ended.log
    [stored] = rows_of(owner, "SAN.MC")
    assert stored["bb_middle"] == pytest.approx((19 * high + 20) / 20)
    assert stored["avg_volume_30"] == pytest.approx((29 * volume + 400) / 30)
    assert stored["current_price"] == 20.0


def test_as_of_a_day_before_a_split_counts_in_that_days_shares(
    owner: Owner, analyzer_url: str
) -> None:
    bars = [bar._replace(volume=400) for bar in walk(0, 60)]
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", bars)
    add_split(owner, "SAN.MC", bars[50].date, 4, 1)
    plan(owner, "past", as_of=bars[40].date)
    assert analyze(analyzer_url, "past").code == 0
    [stored] = rows_of(owner, "SAN.MC")
    assert stored["avg_volume_30"] == pytest.approx(100)
    assert farthest(stored, bars[:41], later_splits=4) < 1e-9


def test_nothing_is_computed_across_a_bar_that_was_set_aside(
    owner: Owner, analyzer_url: str
) -> None:
    bars = walk(0, 300)
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", [*bars[:270], *bars[271:]])
    owner.execute(
        "INSERT INTO financial_screener.exchange_sessions"
        " SELECT exchange_id, %s, now() FROM financial_screener.assets",
        (bars[270].date,),
    )
    owner.execute(
        "INSERT INTO financial_screener.quarantined_bars (asset_id, date, rule, bar, execution_id)"
        " SELECT id, %s, rule, '{}', 'x' FROM financial_screener.assets,"
        " (SELECT rule FROM financial_screener.data_rules LIMIT 1) AS any_rule",
        (bars[270].date,),
    )
    plan(owner, "run")
    ended = analyze(analyzer_url, "run")
    assert ended.code == 0, ended.log
    [stored] = rows_of(owner, "SAN.MC")
    assert stored["bb_middle"] is not None
    assert [stored[column] for column in ("sma_50", "sma_200", "rsi_14")] == [None] * 3
    owner.execute("UPDATE financial_screener.quarantined_bars SET released_at = clock_timestamp()")
    plan(owner, "next")
    assert items(owner, "next") == {"SAN.MC": ("planned", None)}, "it is due for that alone"
    assert analyze(analyzer_url, "next").code == 0
    [stored] = rows_of(owner, "SAN.MC")
    assert stored["sma_50"] is not None


def test_beta_is_against_the_exchanges_benchmark(owner: Owner, analyzer_url: str) -> None:
    market, bars = walk(1, 200), walk(0, 200)
    add_assets(owner, [Asset("SAN"), Asset("IBEX", exchange="INDX")])
    owner.execute("UPDATE financial_screener.assets SET kind = 'index' WHERE code = 'IBEX'")
    owner.execute(
        "UPDATE financial_screener.exchanges SET benchmark = 'IBEX.INDX' WHERE code = 'MC'"
    )
    add_bars(owner, "IBEX.INDX", market)
    add_bars(owner, "SAN.MC", bars)
    plan(owner, "run")
    assert analyze(analyzer_url, "run").code == 0
    assert set(items(owner, "run")) == {"SAN.MC"}
    ours, theirs = (np.diff(np.log([bar.adj_close for bar in series])) for series in (bars, market))
    returns = [np.expm1(each) for each in (ours, theirs)]
    expected = np.polyfit(returns[1], returns[0], 1)[0]
    assert rows_of(owner, "SAN.MC")[0]["beta"] == pytest.approx(expected, rel=1e-9)


def test_traded_value_is_in_the_currencys_major_unit(owner: Owner, analyzer_url: str) -> None:
    bars = walk(0, 60)
    currencies = {"EURO": "EUR", "PENCE": "GBX", "NONE": None}
    add_assets(owner, [Asset(code) for code in currencies])
    for code, currency in currencies.items():
        owner.execute(
            "UPDATE financial_screener.assets SET currency = %s WHERE code = %s", (currency, code)
        )
        add_bars(owner, f"{code}.MC", bars)
    plan(owner, "run")
    ended = analyze(analyzer_url, "run")
    assert ended.code == 0, ended.log
    worth = {code: rows_of(owner, f"{code}.MC")[0]["traded_value_30"] for code in currencies}
    expected = float(np.mean([bar.close * bar.volume for bar in bars[-30:]]))
    assert worth["EURO"] == pytest.approx(expected, rel=1e-9)
    assert worth["PENCE"] == pytest.approx(expected / 100, rel=1e-9)
    assert worth["NONE"] is None


def test_an_asset_that_has_not_moved_for_long_is_read_whole(
    owner: Owner, analyzer_url: str
) -> None:
    moving = walk(0, 100)
    still = [
        moving[-1]._replace(date=moving[-1].date + timedelta(days=day))
        for day in range(1, LONGEST_HISTORY - 5)
    ]
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", [*moving, *still])
    plan(owner, "run")
    ended = analyze(analyzer_url, "run")
    assert ended.code == 0, ended.log
    assert rows_of(owner, "SAN.MC")[0]["bars_used"] == len(moving) + len(still)


EXTRA = [
    {"name": "KAMAIndicator", "parameters": {"window": 10, "pow1": 2, "pow2": 30}, "as": "kama_10"},
    {"name": "SMAIndicator", "parameters": {"window": 500}},
    {"name": "MACD"},
]


def by_ta(bars: Sequence[Bar]) -> dict[str, dict[str, float | None]]:
    """What EXTRA is of these bars, by `ta`."""
    factor = np.array([bar.adj_close / bar.close for bar in bars])
    close = pd.Series(np.array([bar.close for bar in bars]) * (factor / factor[-1]))
    macd = ta.trend.MACD(close)
    found = {
        "kama_10": {"kama": ta.momentum.KAMAIndicator(close).kama()},
        "SMAIndicator(window=500)": {
            "sma_indicator": ta.trend.SMAIndicator(close, 500).sma_indicator()
        },
        "MACD": {
            "macd": macd.macd(), "macd_signal": macd.macd_signal(), "macd_diff": macd.macd_diff(),
        },
    }  # fmt: skip
    return {
        key: {
            name: None if np.isnan(series.iloc[-1]) else float(series.iloc[-1])
            for name, series in outputs.items()
        }
        for key, outputs in found.items()
    }


def test_what_the_spec_names_of_ta_is_stored_from_the_whole_history(
    owner: Owner, analyzer_url: str
) -> None:
    add_assets_with_bars(owner, {"NEW": 5, "SAN": 300, "OLD": 900})
    plan(owner, "run", spec={"extra": EXTRA})
    ended = analyze(analyzer_url, "run")
    assert (ended.code, slice_of(owner, "run")[:3]) == (0, (True, True, True)), ended.log
    for seed, (code, length) in enumerate({"NEW": 5, "SAN": 300, "OLD": 900}.items()):
        [stored] = rows_of(owner, f"{code}.MC")
        assert stored["extra"] == by_ta(walk(seed, length))
        assert stored["bars_used"] == min(length, LONGEST_HISTORY)
        assert farthest(stored, walk(seed, length)) < 1e-9
    assert value(
        owner,
        "SELECT (extra -> 'kama_10' -> 'kama')::double precision"
        " FROM financial_screener.v_screener WHERE ticker = 'SAN.MC'",
    ) == pytest.approx(by_ta(walk(1, 300))["kama_10"]["kama"], rel=1e-12)


def test_what_the_spec_names_of_ta_is_stored_for_every_day_of_a_history(
    owner: Owner, analyzer_url: str
) -> None:
    add_assets_with_bars(owner, {"SAN": 300})
    bars = walk(0, 300)
    spec = {"extra": EXTRA, "history": {"from": bars[140].date.isoformat()}}
    plan(owner, "run", spec=spec, as_of=bars[250].date)
    ended = analyze(analyzer_url, "run", CHUNK="1")
    assert ended.code == 0, ended.log
    stored = rows_of(owner, "SAN.MC")
    assert len(stored) == 111
    for place in (0, 8, 9, 10, 60, 110):  # the split is in the middle
        day = by_ta(bars[: 140 + place + 1])
        found = stored[place]["extra"]
        assert isinstance(found, dict)
        assert found.keys() == day.keys()
        for key, outputs in day.items():
            for name, right in outputs.items():
                mine = found[key][name]
                assert mine == (None if right is None else pytest.approx(right, rel=1e-9)), name


def test_a_run_that_names_other_classes_than_the_last_one_computes_again(
    owner: Owner, analyzer_url: str
) -> None:
    add_assets_with_bars(owner, {"SAN": 30})
    done, due = {"SAN.MC": ("skipped", "up_to_date")}, {"SAN.MC": ("succeeded", None)}
    runs: list[tuple[str, list[dict[str, object]], str, dict[str, tuple[str, str | None]]]] = [
        ("plain", [], "changed", due),
        ("with", EXTRA, "changed", due),
        ("same", EXTRA, "changed", done),
        ("other parameters", [EXTRA[0] | {"parameters": {"window": 5}}], "changed", due),
        # One that names none finds nothing to do, and where it computes the row is wholly its own.
        ("none", [], "changed", done),
        ("all", [], "all", due),
    ]
    for name, extra, mode, ending in runs:
        plan(owner, name, mode=mode, spec={"extra": extra} if extra else {})
        assert analyze(analyzer_url, name).code == 0
        assert items(owner, name) == ending, name
        if ending == due:
            [stored] = rows_of(owner, "SAN.MC")
            found = stored["extra"]
            assert (len(found) if isinstance(found, dict) else 0) == len(extra), name


def test_a_class_that_ta_does_not_have_is_an_invalid_spec(owner: Owner, analyzer_url: str) -> None:
    add_assets_with_bars(owner, {"SAN": 30})
    plan(owner, "run", spec={"extra": [*EXTRA, {"name": "Ichi"}]})
    ended = analyze(analyzer_url, "run")
    assert ended.code == 12
    said = str(ended.lines[-1]["message"])
    assert said.startswith("spec.extra[3].name: 'Ichi' is no class of ta; there are ADXIndicator, ")
    assert "IchimokuIndicator" in said
    assert items(owner, "run") == {"SAN.MC": ("planned", None)}
    assert rows_of(owner, "SAN.MC") == []


def test_as_many_rows_are_verified_as_the_spec_says(owner: Owner, analyzer_url: str) -> None:
    add_assets_with_bars(owner, {f"A{number}": 30 for number in range(9)})
    plan(owner, "run", spec={"verify": {"sample": 3}})
    assert analyze(analyzer_url, "run", CHUNK="3").code == 0
    assert value(owner, "SELECT verified_rows FROM financial_screener.slices") == 3


# --- verification -----------------------------------------------------------------------------


@contextmanager
def tampering(owner: Owner, change: str) -> Iterator[None]:
    """Changes rows between what is computed and what is stored."""
    owner.execute(
        "CREATE FUNCTION financial_screener.tamper() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$ BEGIN {change}; RETURN NEW; END $$"
    )
    owner.execute(
        "CREATE TRIGGER tamper BEFORE INSERT OR UPDATE ON financial_screener.technical_indicators"
        " FOR EACH ROW EXECUTE FUNCTION financial_screener.tamper()"
    )
    yield
    owner.execute("DROP FUNCTION financial_screener.tamper CASCADE")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("NEW.rsi_14 := NEW.rsi_14 + 0.001", "rsi_14 is "),
        ("NEW.adx := 0", "adx is 0.0, should be "),
        ("NEW.sma_50 := NULL", "sma_50 is None, should be "),
        ("NEW.sma_200 := 0", "sma_200 is 0.0, should be None"),
    ],
    ids=["a value", "0 for a value", "NULL for a value", "0 for NULL"],
)
def test_a_chunk_with_a_wrong_row_is_not_stored(
    owner: Owner, analyzer_url: str, change: str, said: str
) -> None:
    add_assets_with_bars(owner, {"SAN": 100, "BBVA": 100})
    plan(owner, "run")
    with tampering(owner, change):
        ended = analyze(analyzer_url, "run")
    assert ended.code == 13
    started, finished, verified, message = slice_of(owner, "run")
    assert (started, finished, verified) == (True, True, False)
    assert isinstance(message, str)
    assert re.match(r"indicators of (SAN|BBVA)\.MC on 2022-04-12 differ: ", message)
    assert said in message
    assert everything(owner) == []
    wrong = ("failed", "verify_mismatch")
    assert items(owner, "run") == {"SAN.MC": wrong, "BBVA.MC": wrong}
    assert details(owner, "run") == {"SAN.MC": (*wrong, 0, 0), "BBVA.MC": (*wrong, 0, 0)}
    assert analyze(analyzer_url, "run").code == 13, "a verdict stands"
    plan(owner, "next")
    assert items(owner, "next") == {"SAN.MC": ("planned", None), "BBVA.MC": ("planned", None)}


def test_a_deviation_below_the_tolerance_is_stored_and_told(
    owner: Owner, analyzer_url: str
) -> None:
    add_assets_with_bars(owner, {"SAN": 100})
    plan(owner, "run")
    with tampering(owner, "NEW.rsi_14 := NEW.rsi_14 + 0.00001"):
        assert analyze(analyzer_url, "run").code == 0
    assert value(
        owner, "SELECT verified, verified_rows, deviation FROM financial_screener.slices"
    ) == (True, 1, pytest.approx(1e-7, rel=1e-3))
    assert slice_of(owner, "run")[3] == (
        "1 stored rows, chosen at random, equal what ta and numpy give over their whole history;"
        " largest deviation 1.0e-07"
    )


def test_a_row_is_judged_by_the_whole_history_and_not_by_what_was_read(
    owner: Owner, analyzer_url: str
) -> None:
    add_assets_with_bars(owner, {"SAN": LONGEST_HISTORY + 700})
    plan(owner, "run")
    assert analyze(analyzer_url, "run").code == 0
    [stored] = rows_of(owner, "SAN.MC")
    assert stored["bars_used"] == LONGEST_HISTORY
    deviation = value(owner, "SELECT deviation FROM financial_screener.slices")
    assert isinstance(deviation, float)
    assert 0 < deviation < 1e-9


def test_a_row_is_not_judged_by_bars_that_were_stored_after_it_was_computed(
    owner: Owner, analyzer_url: str
) -> None:
    add_assets_with_bars(owner, {"SAN": 100})
    plan(owner, "run")
    # The refetch is stored in the moment between the reading and the verification.
    change = (
        "UPDATE financial_screener.stock_prices SET high = high * 2;"
        "UPDATE financial_screener.asset_processing_state"
        " SET prices_changed_at = clock_timestamp()"
    )
    owner.execute(
        "CREATE FUNCTION financial_screener.refetch() RETURNS trigger LANGUAGE plpgsql"
        f" SECURITY DEFINER AS $$ BEGIN {change}; RETURN NULL; END $$"
    )
    owner.execute(
        "CREATE TRIGGER refetch AFTER INSERT ON financial_screener.technical_indicators"
        " FOR EACH ROW EXECUTE FUNCTION financial_screener.refetch()"
    )
    assert analyze(analyzer_url, "run").code == 0
    assert slice_of(owner, "run")[2:] == (True, "no row was stored that could be verified")
    owner.execute("DROP FUNCTION financial_screener.refetch CASCADE")
    plan(owner, "next")
    assert items(owner, "next") == {"SAN.MC": ("planned", None)}


# --- killed, stopped, doubled -----------------------------------------------------------------


@pytest.fixture
def many(owner: Owner) -> dict[str, int]:
    """More assets than a chunk."""
    lengths = {f"M{number}": 120 for number in range(190)}
    add_assets_with_bars(owner, lengths)
    return lengths


def stored_count(owner: Owner) -> int:
    found = value(owner, "SELECT count(*) FROM financial_screener.technical_indicators")
    assert isinstance(found, int)
    return found


def claimed_count(owner: Owner) -> object:
    return value(
        owner,
        "SELECT count(*) FROM financial_screener.plan_items"
        " WHERE state = 'planned' AND worker_id IS NOT NULL",
    )


def assert_all_done_once(owner: Owner, execution_id: str, lengths: dict[str, int]) -> None:
    assert set(items(owner, execution_id).values()) == {("succeeded", None)}
    assert details(owner, execution_id) == {
        f"{code}.MC": ("success", None, 1, 0) for code in lengths
    }
    assert stored_count(owner) == len(lengths)
    assert slice_of(owner, execution_id)[:3] == (True, True, True)


def test_a_killed_worker_is_replaced_and_its_chunk_done_once(
    owner: Owner, analyzer_url: str, many: dict[str, int]
) -> None:
    plan(owner, "run")
    with nobody_stores(owner, "max"):
        process = start(environment(analyzer_url, "run", CHUNK="100"))
        until(lambda: stored_count(owner) == 100 and claimed_count(owner) == 90)
        process.kill()
        assert wait(process).code == -signal.SIGKILL
    assert claimed_count(owner) == 90
    assert analyze(analyzer_url, "run").code == 0
    assert_all_done_once(owner, "run", many)


@contextmanager
def held_in_its_first_chunk(owner: Owner, analyzer_url: str) -> Iterator["subprocess.Popen[str]"]:
    """A program that has claimed the first chunk of `run` and cannot store it in the block."""
    plan(owner, "run")
    with nobody_stores(owner, "min"):
        process = start(environment(analyzer_url, "run", CHUNK="100"))
        until(lambda: claimed_count(owner) in (100, 190))
        yield process


def test_a_worker_that_is_asked_to_end_gives_back_its_claims(
    owner: Owner, analyzer_url: str, many: dict[str, int]
) -> None:
    with held_in_its_first_chunk(owner, analyzer_url) as process:
        process.send_signal(signal.SIGTERM)
    ended = wait(process)
    assert ended.code == 143
    assert claimed_count(owner) == 0
    assert value(owner, "SELECT ended_at IS NOT NULL FROM financial_screener.workers") is True
    assert slice_of(owner, "run")[1] is False
    assert analyze(analyzer_url, "run").code == 0
    assert_all_done_once(owner, "run", many)


def test_two_pods_at_once_share_the_items(
    owner: Owner, analyzer_url: str, many: dict[str, int]
) -> None:
    plan(owner, "run")
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: analyze(analyzer_url, "run", CHUNK="20").code, range(2)))
    assert both == [0, 0]
    assert_all_done_once(owner, "run", many)


def test_what_is_claimed_are_the_next_items_of_which_there_are_any(
    owner: Owner, analyzer_url: str
) -> None:
    add_assets_with_bars(owner, {f"A{number}": 3 for number in range(9)})
    plan(owner, "run")
    order = "SELECT id, asset_id FROM financial_screener.plan_items ORDER BY asset_id"
    (items_of, assets_of) = zip(*owner.execute(order).fetchall(), strict=True)
    owner.execute(
        "UPDATE financial_screener.plan_items SET state = 'succeeded' WHERE asset_id <= %s",
        [assets_of[6]],
    )
    with (
        registered(analyzer_url, execution_id="run", pod="one") as one,
        registered(analyzer_url, execution_id="run", pod="two") as two,
        Store.open(analyzer_url, "run") as store,
    ):
        assert store.claim(two.worker_id, 1, assets_of[7]) == [items_of[8]]
        assert store.claim(one.worker_id, 2) == [items_of[7]]
        assert store.claim(one.worker_id, 2) == [items_of[7]], "it is this worker's still"
        assert store.claim(one.worker_id, 2, assets_of[7]) == []
    with (
        registered(analyzer_url, execution_id="run", pod="three") as three,
        Store.open(analyzer_url, "run") as store,
    ):
        found = store.claim(three.worker_id, 9)
        assert sorted(found) == sorted(items_of[7:]), "both have ended"


def test_an_asset_that_is_being_written_is_computed_when_its_writer_is_done(
    owner: Owner, analyzer_url: str
) -> None:
    bars = walk(0, 61)
    add_assets_with_bars(owner, {"BBVA": 30})
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", bars[:60])
    plan(owner, "run")
    with psycopg.connect(owner.info.dsn, password=owner.info.password) as writer:
        add_bars(writer, "SAN.MC", bars[60:])
        process = start(environment(analyzer_url, "run"))
        until(lambda: items(owner, "run")["BBVA.MC"] == ("succeeded", None))
        assert items(owner, "run")["SAN.MC"] == ("planned", None)
        writer.commit()
    assert wait(process).code == 0
    assert rows_of(owner, "SAN.MC")[0]["calculation_date"] == bars[60].date


def test_a_worker_that_lost_its_lock_stops(
    owner: Owner, analyzer_url: str, many: dict[str, int]
) -> None:
    with (
        held_in_its_first_chunk(owner, analyzer_url) as process,
        psycopg.connect(analyzer_url, autocommit=True) as same_login,
    ):
        same_login.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'screener-analyze lock' AND datname = current_database()"
        )
    ended = wait(process)
    assert ended.code == 21
    assert stored_count(owner) <= 100
    assert analyze(analyzer_url, "run").code == 0
    assert_all_done_once(owner, "run", many)


def test_a_run_whose_judge_is_killed_stops_and_counts_nothing_that_was_not_verified(
    owner: Owner, analyzer_url: str, many: dict[str, int]
) -> None:
    with held_in_its_first_chunk(owner, analyzer_url) as process:
        of_threads = Path(f"/proc/{process.pid}/task").glob("*/children")
        (judge,) = [int(pid) for of_thread in of_threads for pid in of_thread.read_text().split()]
        os.kill(judge, signal.SIGKILL)
    ended = wait(process)
    assert ended.code == ExitCode.UNEXPECTED
    assert ended.lines[-1]["message"] == "the process that verifies indicators ended with -9"
    assert stored_count(owner) == 0
    assert analyze(analyzer_url, "run").code == 0
    assert_all_done_once(owner, "run", many)


def test_what_is_planned_while_tables_are_empty_reads_by_keys_when_they_have_grown(
    owner: Owner, analyzer_url: str, many: dict[str, int]
) -> None:
    since = FIRST_DAY + timedelta(days=5)
    plan(owner, "run", spec={"history": {"from": since.isoformat()}})
    owner.execute(
        "SELECT financial_screener.ensure_partitions(%s, %s)",
        [FIRST_DAY, FIRST_DAY + timedelta(days=max(many.values()))],
    )
    owner.execute("ANALYZE financial_screener.technical_indicators")
    scans = "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname ~ '^technical_indicators_'"
    before = value(owner, scans)
    carry_out(analyzer_url, "run", chunk=100)
    time.sleep(1.5)  # statistics are told within a second
    assert value(owner, scans) == before


# --- settings, rights, words ------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["DATABASE_URL", "EXECUTION_ID"])
def test_a_missing_setting_is_named(analyzer_url: str, missing: str) -> None:
    variables = environment(analyzer_url, "run")
    del variables[missing]
    ended = wait(start(variables))
    assert ended.code == 2
    assert missing in str(ended.lines[-1]["message"])


def test_a_wrong_log_format_is_named(analyzer_url: str) -> None:
    ended = wait(start(environment(analyzer_url, "run", LOG_FORMAT="xml")))
    assert ended.code == 2
    assert "LOG_FORMAT must be one of json, text" in ended.log


@pytest.mark.parametrize("chunk", ["0", "-1", "many", "100001"])
def test_a_wrong_chunk_is_named(analyzer_url: str, chunk: str) -> None:
    ended = wait(start(environment(analyzer_url, "run", CHUNK=chunk)))
    assert ended.code == 2
    assert "CHUNK must be a number from 1 to 100000" in ended.log


def test_arguments_are_refused(analyzer_url: str) -> None:
    ended = wait(start(environment(analyzer_url, "run"), "--all"))
    assert ended.code == 2
    assert "takes no arguments" in str(ended.lines[-1]["message"])


def test_an_unknown_run_is_refused(owner: Owner, analyzer_url: str) -> None:
    ended = analyze(analyzer_url, "nobody")
    assert ended.code == 2
    assert "EXECUTION_ID" in str(ended.lines[-1]["message"])


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://somebody:hunter2@127.0.0.1:1/nowhere", 21),
        ("postgresql://somebody:hunter2@127.0.0.1:one/nowhere", 21),
        ("hunter2", 2),
    ],
    ids=["nobody answers", "a port that is none", "no connection string"],
)
def test_a_database_that_cannot_be_used_is_said_without_its_password(url: str, code: int) -> None:
    ended = analyze(url, "run")
    assert ended.code == code
    assert "hunter2" not in ended.log


def test_a_refused_password_is_said_without_it(analyzer_url: str) -> None:
    wrong = re.sub(r":(\w+)@", ":wrong-password@", analyzer_url)
    ended = analyze(wrong, "run")
    assert ended.code == 21
    assert "refuses the user name or password" in str(ended.lines[-1]["message"])
    assert "wrong-password" not in ended.log


def test_the_log_is_one_json_object_a_line(owner: Owner, analyzer_url: str) -> None:
    add_assets_with_bars(owner, {"SAN": 30})
    plan(owner, "run")
    ended = analyze(analyzer_url, "run")
    stored, verified = (str(line["message"]) for line in ended.lines)
    assert stored == "chunk stored"
    assert verified.startswith(
        "1 stored rows, chosen at random, equal what ta and numpy give over "
    )
    assert all({"time", "level", "message"} <= set(line) for line in ended.lines)
    assert analyzer_url not in ended.log


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO financial_screener.stock_prices SELECT * FROM financial_screener.stock_prices",
        "DELETE FROM financial_screener.technical_indicators",
        "UPDATE financial_screener.api_daily_quota SET calls_used = 0",
        "UPDATE financial_screener.process_executions SET status = 'success'",
        "INSERT INTO financial_screener.plan_items (execution_id) VALUES ('x')",
    ],
    ids=["no bars", "no deleting", "no quota", "no executions", "no plans"],
)
def test_the_login_may_do_no_more_than_it_needs(analyzer_url: str, statement: str) -> None:
    with (
        psycopg.connect(analyzer_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)
