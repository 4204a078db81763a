"""What adds up from an asset's first stored bar, carried from run to run, is what a pass over all
its bars gives, whatever happens to the history and to the runs between."""

import math
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import numpy as np
import psycopg
import pytest
from analyzer_world import (
    FIRST_DAY,
    Bar,
    Owner,
    add_bars,
    add_split,
    analyze,
    carry_out,
    environment,
    items,
    nobody_stores,
    plan,
    plan_and_carry_out,
    rows_of,
    start,
    until,
    value,
    wait,
)
from analyzer_world import walk as plain_walk
from market import Asset, add_assets
from psycopg.rows import dict_row

from screener_analyzer.bars import split_factors
from screener_analyzer.binary import days_of
from screener_analyzer.engine import compute
from screener_analyzer.panel import STATE, Adjusted, panel
from screener_analyzer.registry import LONGEST_HISTORY, REGISTRY
from screener_sql.model import ExitCode

pytestmark = pytest.mark.integration

CUMULATIVE = [row for row in REGISTRY if row.cumulative]
COLUMNS = [output.column for row in CUMULATIVE for output in row.outputs if output.history == 0]
LONG = LONGEST_HISTORY + 60


def walk(seed: int, length: int) -> list[Bar]:
    """As `analyzer_world.walk`, with closes anywhere in their bars and volumes that jump."""
    random = np.random.default_rng(seed)
    return [
        bar._replace(
            high=bar.close * (1 + 0.02 * random.random()),
            low=bar.close * (1 - 0.02 * random.random()),
            volume=int(random.integers(0, 5_000)),
        )
        for bar in plain_walk(seed, length)
    ]


def add_walks(owner: Owner, lengths: dict[str, int]) -> None:
    add_assets(owner, [Asset(code) for code in lengths])
    for seed, (code, length) in enumerate(lengths.items()):
        add_bars(owner, f"{code}.MC", walk(seed, length))


def last_day(bars: Sequence[Bar]) -> date:
    return bars[-1].date


def all_bars(owner: Owner, ticker: str, upto: date | None = None) -> tuple[list[date], np.ndarray]:
    """Every stored bar and every hole between them, oldest first."""
    stored = owner.execute(
        "SELECT bar.date, open, high, low, close, adj_close, volume::float8"
        " FROM financial_screener.stock_prices AS bar"
        " JOIN financial_screener.assets AS asset ON asset.id = asset_id"
        " WHERE ticker = %s AND bar.date <= coalesce(%s, 'infinity'::date) ORDER BY date",
        (ticker, upto),
    ).fetchall()
    holes = owner.execute(
        "SELECT date FROM financial_screener.bar_holes"
        " JOIN financial_screener.assets AS asset ON asset.id = asset_id"
        " WHERE ticker = %s AND date < %s",
        (ticker, stored[-1][0]),
    ).fetchall()
    rows = sorted([*stored, *((day, *[math.nan] * 6) for (day,) in holes)])
    return [row[0] for row in rows], np.array([row[1:] for row in rows], dtype=np.float64)


def full_pass(
    owner: Owner,
    ticker: str,
    *,
    upto: date | None = None,
    adjusted: Adjusted = "all",
    rows: int = 1,
) -> list[dict[str, float]]:
    """The columns at the last bars, computed over all of them; NaN: not known."""
    dates, bars = all_bars(owner, ticker, upto)
    splits = owner.execute(
        "SELECT ex_date, split_new / split_old FROM financial_screener.corporate_actions"
        " JOIN financial_screener.assets AS asset ON asset.id = asset_id WHERE ticker = %s",
        (ticker,),
    ).fetchall()
    days = np.array([days_of(day) for day in dates], dtype=np.int32)
    factors = split_factors(
        days, np.array([len(days)]), {0: [(days_of(day), ratio) for day, ratio in splits]}
    )
    whole = panel(
        bars, [len(bars)], split_factors=factors, adjusted=adjusted,
        whole=np.ones(1, dtype=np.bool_),
    )  # fmt: skip
    found = compute(whole, CUMULATIVE, rows)
    return [{column: float(found[column][row, 0]) for column in COLUMNS} for row in range(rows)]


def assert_row_is(row: Mapping[str, object], right: Mapping[str, float]) -> None:
    stored = {column: math.nan if row[column] is None else row[column] for column in COLUMNS}
    assert stored == pytest.approx(right, rel=1e-9, abs=1e-6, nan_ok=True)


def assert_last_row_is(owner: Owner, ticker: str, right: Mapping[str, float]) -> None:
    assert_row_is(rows_of(owner, ticker)[-1], right)


def assert_is_a_full_pass(owner: Owner, *tickers: str) -> None:
    for ticker in tickers:
        assert_last_row_is(owner, ticker, full_pass(owner, ticker)[0])


def states(owner: Owner) -> dict[str, dict[str, object]]:
    """By ticker what is stored, of those that are computed."""
    with owner.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "SELECT ticker, state.* FROM financial_screener.indicator_states AS state"
            " JOIN financial_screener.assets AS asset ON asset.id = asset_id"
            " WHERE execution_id IS NOT NULL"
        ).fetchall()
    return {str(row.pop("ticker")): row for row in rows}


def touch(owner: Owner, ticker: str) -> None:
    """Its bars were changed: the asset is due."""
    owner.execute(
        "UPDATE financial_screener.asset_processing_state SET prices_changed_at = clock_timestamp()"
        " WHERE ticker = %s",
        (ticker,),
    )


def add_sessions(owner: Owner, days: int = LONG + 40) -> None:
    owner.execute(
        "INSERT INTO financial_screener.exchange_sessions"
        " SELECT DISTINCT exchange_id, %s::date + n, now() FROM financial_screener.assets,"
        " generate_series(0, %s) AS n",
        (FIRST_DAY, days),
    )


def set_aside(owner: Owner, ticker: str, day: date) -> None:
    """As the collector does with a bar that breaks a rule."""
    with owner.transaction():
        owner.execute(
            "DELETE FROM financial_screener.stock_prices USING financial_screener.assets"
            " WHERE id = asset_id AND ticker = %s AND date = %s",
            (ticker, day),
        )
        owner.execute(
            "INSERT INTO financial_screener.quarantined_bars"
            " (asset_id, date, rule, bar, execution_id)"
            " SELECT id, %s, rule, '{}', 'x' FROM financial_screener.assets,"
            " (SELECT rule FROM financial_screener.data_rules ORDER BY rule LIMIT 1) AS any_rule"
            " WHERE ticker = %s ON CONFLICT (asset_id, date, rule) DO UPDATE SET"
            " released_at = NULL, quarantined_at = clock_timestamp()",
            (day, ticker),
        )
        touch(owner, ticker)


def release(owner: Owner, ticker: str) -> None:
    """What was set aside is no longer, and its bars do not come."""
    owner.execute(
        "UPDATE financial_screener.quarantined_bars SET released_at = clock_timestamp()"
        " FROM financial_screener.assets WHERE id = asset_id AND ticker = %s"
        " AND released_at IS NULL",
        (ticker,),
    )
    touch(owner, ticker)


# --- carried on -------------------------------------------------------------------------------


def test_of_a_long_history_all_bars_are_added_up_once_and_carried_on_from_then(
    owner: Owner, analyzer_url: str
) -> None:
    bars = walk(3, LONG + 2)
    add_assets(owner, [Asset("SAN"), Asset("NEW")])
    add_bars(owner, "SAN.MC", bars[:LONG])
    add_bars(owner, "NEW.MC", walk(4, 50))
    plan_and_carry_out(owner, analyzer_url, "first")
    assert_is_a_full_pass(owner, "SAN.MC", "NEW.MC")
    assert list(states(owner)) == ["SAN.MC"], "a run reads all bars of the other"
    state = states(owner)["SAN.MC"]
    assert (state["last_bar"], state["execution_id"]) == (bars[LONG - 1].date, "first")
    stored = rows_of(owner, "SAN.MC")[-1]
    assert all(state[name] == stored[name] for name in STATE if name != "first_close")
    assert state["first_close"] == pytest.approx(bars[0].adj_close)
    # That it is gone on from, and not added up anew, shows where it is another.
    owner.execute("UPDATE financial_screener.indicator_states SET obv = obv + 1000000")
    add_bars(owner, "SAN.MC", bars[LONG:])
    plan_and_carry_out(owner, analyzer_url, "second", spec={"verify": {"sample": 0}})
    right = full_pass(owner, "SAN.MC")[0]
    assert_last_row_is(owner, "SAN.MC", right | {"obv": right["obv"] + 1_000_000})
    assert states(owner)["SAN.MC"]["last_bar"] == last_day(bars)


def test_exactly_as_many_bars_as_a_run_reads_are_all_of_them(
    owner: Owner, analyzer_url: str
) -> None:
    bars = walk(5, LONGEST_HISTORY + 1)
    add_assets(owner, [Asset("SAN")])
    for length in (LONGEST_HISTORY - 1, LONGEST_HISTORY, LONGEST_HISTORY + 1):
        stored = value(owner, "SELECT count(*)::int FROM financial_screener.stock_prices")
        assert isinstance(stored, int)
        add_bars(owner, "SAN.MC", bars[stored:length])
        plan_and_carry_out(owner, analyzer_url, f"run-{length}")
        assert_is_a_full_pass(owner, "SAN.MC")


def test_a_state_that_is_older_than_what_a_run_reads_is_of_no_use(
    owner: Owner, analyzer_url: str
) -> None:
    bars = walk(6, LONG + LONGEST_HISTORY + 5)
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", bars[:LONG])
    plan_and_carry_out(owner, analyzer_url, "first")
    add_bars(owner, "SAN.MC", bars[LONG:])
    plan_and_carry_out(owner, analyzer_url, "second")
    assert_is_a_full_pass(owner, "SAN.MC")
    assert states(owner)["SAN.MC"]["last_bar"] == last_day(bars)


def test_a_dividend_that_only_later_bars_show_changes_the_prices_that_a_state_is_in(
    owner: Owner, analyzer_url: str
) -> None:
    bars = [bar._replace(adj_close=bar.close * 0.9) for bar in walk(7, LONG)]
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", bars)
    plan_and_carry_out(owner, analyzer_url, "first")
    after = [
        bar._replace(adj_close=bar.close, date=last_day(bars) + timedelta(days=n))
        for n, bar in enumerate(walk(8, 3), start=1)
    ]
    add_bars(owner, "SAN.MC", after)
    plan_and_carry_out(owner, analyzer_url, "second")
    assert_is_a_full_pass(owner, "SAN.MC")


# --- a history that is another than before ----------------------------------------------------


def older(owner: Owner) -> None:
    add_bars(owner, "SAN.MC", [walk(9, 1)[0]._replace(date=FIRST_DAY - timedelta(days=40))])


def between(owner: Owner) -> None:
    add_bars(owner, "SAN.MC", [walk(9, 1)[0]._replace(date=FIRST_DAY + timedelta(days=7))])


def refetched(owner: Owner) -> None:
    """After a split of 2:1 and a dividend."""
    owner.execute(
        "UPDATE financial_screener.stock_prices SET adj_close = adj_close * 0.49,"
        " volume = volume * 2 FROM financial_screener.assets WHERE id = asset_id"
        " AND ticker = 'SAN.MC' AND date < %s",
        (FIRST_DAY + timedelta(days=LONG - 10),),
    )
    touch(owner, "SAN.MC")


def corrected(owner: Owner) -> None:
    owner.execute(
        "UPDATE financial_screener.stock_prices SET volume = volume * 1000 FROM"
        " financial_screener.assets WHERE id = asset_id AND ticker = 'SAN.MC' AND date = %s",
        (FIRST_DAY + timedelta(days=20),),
    )
    touch(owner, "SAN.MC")


def withdrawn(owner: Owner) -> None:
    owner.execute(
        "DELETE FROM financial_screener.stock_prices USING financial_screener.assets"
        " WHERE id = asset_id AND ticker = 'SAN.MC' AND date = %s",
        (FIRST_DAY + timedelta(days=20),),
    )
    touch(owner, "SAN.MC")


def set_aside_long_ago(owner: Owner) -> None:
    set_aside(owner, "SAN.MC", FIRST_DAY + timedelta(days=20))


def never_stored(owner: Owner) -> None:
    """A bar that breaks a rule came late, of a day that had none: nothing stored changes."""
    set_aside(owner, "SAN.MC", FIRST_DAY + timedelta(days=10))


def a_session_after_all(owner: Owner) -> None:
    """The day of a bar that is set aside."""
    owner.execute(
        "INSERT INTO financial_screener.exchange_sessions"
        " SELECT exchange_id, %s, now() FROM financial_screener.assets WHERE ticker = 'SAN.MC'",
        (FIRST_DAY + timedelta(days=12),),
    )
    touch(owner, "SAN.MC")


@pytest.mark.parametrize(
    "change",
    [
        older,
        between,
        refetched,
        corrected,
        withdrawn,
        set_aside_long_ago,
        never_stored,
        a_session_after_all,
    ],
)
def test_a_changed_history_is_added_up_again(
    owner: Owner, analyzer_url: str, change: object
) -> None:
    bars = walk(10, LONG)
    add_assets(owner, [Asset("SAN"), Asset("BBVA")])
    add_sessions(owner)
    owner.execute(
        "DELETE FROM financial_screener.exchange_sessions WHERE session = %s",
        (FIRST_DAY + timedelta(days=12),),
    )
    gone = {FIRST_DAY + timedelta(days=days) for days in (7, 10, 12)}
    kept = [bar for bar in bars if bar.date not in gone]
    for ticker in ("SAN.MC", "BBVA.MC"):
        add_bars(owner, ticker, kept)
    set_aside(owner, "SAN.MC", FIRST_DAY + timedelta(days=12))
    plan_and_carry_out(owner, analyzer_url, "first")
    assert_is_a_full_pass(owner, "SAN.MC", "BBVA.MC")
    before = {column: rows_of(owner, "SAN.MC")[-1][column] for column in COLUMNS}
    assert None not in before.values()
    assert callable(change)
    change(owner)
    assert list(states(owner)) == ["BBVA.MC"]
    plan_and_carry_out(owner, analyzer_url, "second")
    assert_is_a_full_pass(owner, "SAN.MC")
    now = {column: rows_of(owner, "SAN.MC")[-1][column] for column in COLUMNS}
    assert now != before
    assert (None in now.values()) == (
        change in (set_aside_long_ago, never_stored, a_session_after_all)
    ), "nothing is added up across a bar that is set aside"
    assert set(states(owner)) == {"SAN.MC", "BBVA.MC"}
    assert states(owner)["BBVA.MC"]["execution_id"] == "first"


def test_a_bar_set_aside_after_the_state_makes_what_adds_up_unknown_until_it_is_released(
    owner: Owner, analyzer_url: str
) -> None:
    bars = walk(11, LONG + 6)
    add_assets(owner, [Asset("SAN")])
    add_sessions(owner)
    add_bars(owner, "SAN.MC", bars[:LONG])
    plan_and_carry_out(owner, analyzer_url, "first")
    set_aside(owner, "SAN.MC", bars[LONG].date)
    plan_and_carry_out(owner, analyzer_url, "second")
    assert_is_a_full_pass(owner, "SAN.MC")
    assert rows_of(owner, "SAN.MC")[-1]["obv"] is not None, "it is after the last bar"
    for end in (LONG + 3, LONG + 4):
        add_bars(owner, "SAN.MC", bars[end - 2 if end == LONG + 3 else end - 1 : end])
        plan_and_carry_out(owner, analyzer_url, f"until-{end}")
        assert_is_a_full_pass(owner, "SAN.MC")
        row = rows_of(owner, "SAN.MC")[-1]
        assert {column for column in COLUMNS if row[column] is not None} == {"cumulative_return"}
    assert states(owner)["SAN.MC"]["obv"] is None
    release(owner, "SAN.MC")
    assert states(owner) == {}
    plan_and_carry_out(owner, analyzer_url, "released")
    assert_is_a_full_pass(owner, "SAN.MC")
    assert None not in [rows_of(owner, "SAN.MC")[-1][column] for column in COLUMNS]


def test_a_history_that_is_emptied_leaves_no_state(owner: Owner, analyzer_url: str) -> None:
    add_walks(owner, {"SAN": LONG})
    plan_and_carry_out(owner, analyzer_url, "first")
    owner.execute("TRUNCATE financial_screener.stock_prices")
    assert states(owner) == {}


def test_what_changes_while_a_run_computes_leaves_no_state_of_before(
    owner: Owner, analyzer_url: str
) -> None:
    add_walks(owner, {"SAN": LONG})
    plan(owner, "first")
    # The correction is stored in the moment between the reading and the storing.
    owner.execute(
        "CREATE FUNCTION financial_screener.correct() RETURNS trigger LANGUAGE plpgsql"
        " SECURITY DEFINER AS $$ BEGIN"
        " UPDATE financial_screener.stock_prices SET volume = volume * 2;"
        " UPDATE financial_screener.asset_processing_state"
        " SET prices_changed_at = clock_timestamp();"
        " RETURN NULL; END $$"
    )
    owner.execute(
        "CREATE TRIGGER correct AFTER INSERT ON financial_screener.technical_indicators"
        " FOR EACH ROW EXECUTE FUNCTION financial_screener.correct()"
    )
    carry_out(analyzer_url, "first")
    owner.execute("DROP FUNCTION financial_screener.correct CASCADE")
    assert states(owner) == {}
    plan_and_carry_out(owner, analyzer_url, "second")
    assert_is_a_full_pass(owner, "SAN.MC")


def test_a_writer_that_is_not_done_when_a_run_reads_leaves_no_state_of_before(
    owner: Owner, analyzer_url: str
) -> None:
    """One that writes bars first and says so afterwards, as people do who write by hand."""
    add_walks(owner, {"SAN": LONG})
    plan(owner, "first")
    with psycopg.connect(owner.info.dsn, password=owner.info.password) as writer:
        writer.execute("UPDATE financial_screener.stock_prices SET volume = volume * 2")
        pauses = iter(range(9))

        def pause(seconds: float) -> None:
            if next(pauses) == 1:  # what a chunk needs has been read
                touch(writer, "SAN.MC")
                writer.commit()

        carry_out(analyzer_url, "first", pause)
        assert value(owner, "SELECT count(*) FROM financial_screener.technical_indicators") == 1
    assert states(owner) == {}
    plan_and_carry_out(owner, analyzer_url, "second")
    assert_is_a_full_pass(owner, "SAN.MC")


# --- runs of another kind ---------------------------------------------------------------------


@pytest.mark.parametrize("adjusted", ["splits", "none"])
def test_another_adjustment_adds_up_all_bars_and_leaves_the_state_alone(
    owner: Owner, analyzer_url: str, adjusted: Adjusted
) -> None:
    bars = walk(12, LONG)
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", bars)
    add_split(owner, "SAN.MC", bars[LONG // 3].date, 4, 1)
    plan_and_carry_out(owner, analyzer_url, "usual")
    before = states(owner)
    plan_and_carry_out(owner, analyzer_url, "other", mode="all", spec={"adjusted": adjusted})
    assert_last_row_is(owner, "SAN.MC", full_pass(owner, "SAN.MC", adjusted=adjusted)[0])
    assert rows_of(owner, "SAN.MC")[-1]["execution_id"] == "other"
    assert states(owner) == before
    plan_and_carry_out(owner, analyzer_url, "again", mode="all")
    assert_is_a_full_pass(owner, "SAN.MC")


def test_as_of_an_earlier_day_adds_up_what_there_was_and_leaves_the_state_alone(
    owner: Owner, analyzer_url: str
) -> None:
    bars = walk(13, LONG + 30)
    add_assets(owner, [Asset("SAN")])
    add_bars(owner, "SAN.MC", bars)
    add_split(owner, "SAN.MC", bars[LONG + 10].date, 4, 1)
    plan_and_carry_out(owner, analyzer_url, "usual")
    before = states(owner)
    day = bars[LONG].date
    plan_and_carry_out(owner, analyzer_url, "past", mode="all", as_of=day)
    stored = rows_of(owner, "SAN.MC")[0]
    right = full_pass(owner, "SAN.MC", upto=day)[0]
    assert stored["calculation_date"] == day
    assert_row_is(stored, right)
    assert states(owner) == before


@pytest.mark.parametrize("days", [5, LONGEST_HISTORY + 10, LONG + 400])
def test_every_day_of_a_history_is_a_full_pass_and_the_state_is_left_alone(
    owner: Owner, analyzer_url: str, days: int
) -> None:
    bars = walk(14, LONG + 300)
    add_assets(owner, [Asset("SAN"), Asset("BBVA")])
    add_bars(owner, "SAN.MC", bars)
    add_bars(owner, "BBVA.MC", bars[: LONG + 100])
    plan_and_carry_out(owner, analyzer_url, "usual")
    before = states(owner)
    since = last_day(bars) - timedelta(days=days - 1)
    plan_and_carry_out(
        owner, analyzer_url, "history", mode="all", spec={"history": {"from": str(since)}}
    )
    for ticker in ("SAN.MC", "BBVA.MC"):
        stored = rows_of(owner, ticker)
        right = full_pass(owner, ticker, rows=len(stored))
        assert len(stored) == max(1, sum(bar.date >= since for bar in all_of(owner, ticker)))
        for row, expected in zip(stored, right, strict=True):
            assert_row_is(row, expected)
    assert states(owner) == before


def all_of(owner: Owner, ticker: str) -> list[Bar]:
    dates, values = all_bars(owner, ticker)
    return [Bar(day, *line) for day, line in zip(dates, values.tolist(), strict=True)]


# --- killed, doubled, refused -----------------------------------------------------------------


def test_a_worker_killed_between_chunks_leaves_states_that_another_goes_on_from(
    owner: Owner, analyzer_url: str
) -> None:
    lengths = {f"A{number}": LONG + number for number in range(6)}
    add_walks(owner, lengths)
    tickers = [f"{code}.MC" for code in lengths]
    plan_and_carry_out(owner, analyzer_url, "first")
    for seed, (code, length) in enumerate(lengths.items()):
        add_bars(owner, f"{code}.MC", walk(seed, length + 3)[length:])
    owner.execute(
        "DELETE FROM financial_screener.indicator_states WHERE asset_id % 2 = 0"
    )  # both kinds
    plan(owner, "second")
    with nobody_stores(owner, "max"):
        process = start(environment(analyzer_url, "second", CHUNK="2"))
        until(lambda: list(items(owner, "second").values()).count(("succeeded", None)) == 4)
        until(lambda: value(owner, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 1)
        process.kill()
        assert wait(process).code == -signal.SIGKILL
    assert analyze(analyzer_url, "second", CHUNK="2").code == 0
    assert_is_a_full_pass(owner, *tickers)
    assert {state["execution_id"] for state in states(owner).values()} == {"second"}
    assert set(states(owner)) == set(tickers)


def test_two_pods_at_once_give_the_same_rows_and_states(owner: Owner, analyzer_url: str) -> None:
    lengths = {f"A{number}": LONG for number in range(8)}
    add_walks(owner, lengths)
    for name, end in (("first", 0), ("second", 2)):
        for seed, code in enumerate(lengths):
            add_bars(owner, f"{code}.MC", walk(seed, LONG + end)[LONG:])
        plan(owner, name)
        with ThreadPoolExecutor(2) as pool:
            both = list(
                pool.map(lambda _, run=name: analyze(analyzer_url, run, CHUNK="2").code, range(2))
            )
        assert both == [0, 0]
        assert_is_a_full_pass(owner, *(f"{code}.MC" for code in lengths))
        assert {state["execution_id"] for state in states(owner).values()} == {name}


def test_a_chunk_that_is_not_verified_leaves_the_states_that_were_there(
    owner: Owner, analyzer_url: str
) -> None:
    add_walks(owner, {"SAN": LONG})
    plan_and_carry_out(owner, analyzer_url, "first")
    before = states(owner)
    add_bars(owner, "SAN.MC", walk(0, LONG + 1)[LONG:])
    plan(owner, "second")
    owner.execute(
        "CREATE FUNCTION financial_screener.tamper() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN NEW.rsi_14 := 50; RETURN NEW; END $$"
    )
    owner.execute(
        "CREATE TRIGGER tamper BEFORE INSERT ON financial_screener.technical_indicators"
        " FOR EACH ROW EXECUTE FUNCTION financial_screener.tamper()"
    )
    assert analyze(analyzer_url, "second").code == ExitCode.NOT_VERIFIED
    assert states(owner) == before


# --- day by day -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_day_by_day_whatever_happens_every_row_is_a_full_pass(
    owner: Owner, analyzer_url: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    codes = ("SAN", "BBVA", "TEF")
    bars = {code: walk(20 + number, LONG + 60) for number, code in enumerate(codes)}
    stored = dict(zip(codes, (LONG, LONGEST_HISTORY - 5, LONG + 17), strict=True))
    add_assets(owner, [Asset(code) for code in codes])
    add_sessions(owner, LONG + 60)
    for code in codes:
        add_bars(owner, f"{code}.MC", bars[code][5 : stored[code]])
    early = dict.fromkeys(codes, 5)
    for day in range(14):
        for code in codes:
            ticker = f"{code}.MC"
            match int(random.integers(9)):
                case 0:
                    touch(owner, ticker)
                case 1 if early[code]:
                    early[code] -= 1
                    add_bars(owner, ticker, [bars[code][early[code]]])
                case 2:
                    owner.execute(
                        "UPDATE financial_screener.stock_prices SET adj_close = adj_close * 0.97"
                        " FROM financial_screener.assets WHERE id = asset_id AND ticker = %s"
                        " AND date < %s",
                        (ticker, bars[code][stored[code] - 1].date),
                    )
                    touch(owner, ticker)
                case 3:
                    at = int(random.integers(10, stored[code] - 10))
                    set_aside(owner, ticker, bars[code][at].date)
                case 4:
                    release(owner, ticker)
                case _:
                    more = int(random.integers(1, 4))
                    add_bars(owner, ticker, bars[code][stored[code] : stored[code] + more])
                    stored[code] += more
        plan_and_carry_out(owner, analyzer_url, f"day-{day}")
        assert_is_a_full_pass(owner, *(f"{code}.MC" for code in codes))
