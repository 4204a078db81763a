"""The program around the core: settings, how an item ends, log lines, last words."""

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from screener_analyzer import history
from screener_analyzer.bars import Bars
from screener_analyzer.binary import day_of
from screener_analyzer.carry import Ema, carried
from screener_analyzer.computing import Computed, rows_of
from screener_analyzer.history import History, needed
from screener_analyzer.panel import Outputs, Panel
from screener_analyzer.registry import COLUMNS, REGISTRY
from screener_analyzer.run import part_size, parts_of
from screener_analyzer.settings import Settings, from_environment
from screener_analyzer.spec import Spec
from screener_analyzer.store import Chunk, Work
from screener_sql.errors import BadSetting, InvalidSpec

DAY = dt.date(2024, 1, 2)
NOON = dt.datetime(2024, 6, 3, 12, tzinfo=dt.UTC)
COMPLETE = {
    "DATABASE_URL": "postgresql://analyzer:hunter2@db/screener",
    "EXECUTION_ID": "0b5c",
    "POD_NAME": "run-indicators-1-x7k2p",
    "CHUNK": "50",
    "LOG_FORMAT": "text",
}


def bars(*lengths: int) -> Bars:
    """Bars that only differ by day, of assets with so many."""
    count = sum(lengths)
    days = [day for length in lengths for day in range(length)]
    return Bars(
        np.array(days, dtype=np.int32) + 8767,
        np.tile([9.0, 11.0, 8.0, 10.0, 10.0, 100.0], (count, 1)),
        np.array(lengths, dtype=np.intp),
        np.ones(count),
        np.full(count, np.nan),
        np.ones(len(lengths)),
        np.zeros(len(lengths), dtype=np.intp),
    )


def walking(*lengths: int) -> Bars:
    """The same with prices and volumes at random."""
    found = bars(*lengths)
    random = np.random.default_rng(5)
    close = 50 + random.normal(0, 0.5, len(found.dates)).cumsum()
    volume = random.integers(1, 1000, len(close))
    values = np.stack([close, close + 1, close - 1, close, close, volume], axis=1)
    benchmark = 100 + random.normal(0, 0.5, len(close)).cumsum()
    return replace(found, values=values, benchmark=benchmark)


def work(asset_id: int = 3, *, awaits_refetch: bool = False, until: dt.date | None = None) -> Work:
    return Work(asset_id + 4, asset_id, f"A{asset_id}.MC", until, awaits_refetch, 1, 1.0)


def test_settings_come_from_the_environment() -> None:
    assert from_environment(COMPLETE) == Settings(
        "postgresql://analyzer:hunter2@db/screener", "0b5c", "run-indicators-1-x7k2p", 50, "text"
    )


def test_what_may_be_left_out_has_a_default() -> None:
    settings = from_environment({name: COMPLETE[name] for name in ("DATABASE_URL", "EXECUTION_ID")})
    assert settings.log_format == "json"
    assert settings.chunk == 1_000
    assert settings.pod


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
        ({"EXECUTION_ID": "  "}, "EXECUTION_ID is not set"),
        ({"CHUNK": "0"}, "CHUNK must be a number from 1 to 100000"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT must be one of json, text"),
    ],
    ids=["no database", "a blank run", "no chunk", "an unknown log format"],
)
def test_a_bad_setting_is_named_and_no_value_is_shown(change: dict[str, str], said: str) -> None:
    with pytest.raises(BadSetting, match=said) as caught:
        from_environment(COMPLETE | change)
    assert "hunter2" not in str(caught.value)


def test_settings_show_no_password() -> None:
    assert "hunter2" not in repr(from_environment(COMPLETE))


def nothing() -> None:
    pass


def test_items_with_bars_succeed_with_the_rows_of_their_last_bars() -> None:
    [part] = parts_of(Chunk((work(3), work(4)), NOON, bars(2, 1)), Spec(), 1, nothing)
    rows = part.computed.rows
    assert [result.state for result in part.results] == ["succeeded", "succeeded"]
    assert rows.asset_ids.tolist() == [3, 4]
    assert [day_of(day) for day in rows.days] == [DAY + dt.timedelta(1), DAY]
    assert rows.bars_used.tolist() == [2, 1]
    assert rows.values["current_price"].tolist() == [10.0, 10.0]


@pytest.mark.parametrize(
    ("item", "length", "ending"),
    [
        (work(), 0, ("failed", "no_bars", "no bar is stored")),
        (work(until=DAY), 0, ("failed", "no_bars", "no bar is stored up to 2024-01-02")),
        (
            work(awaits_refetch=True), 0,
            ("skipped", "awaiting_refetch", "its history must be fetched again first"),
        ),
    ],
    ids=["no bars", "no bars up to a day", "a history to be fetched again"],
)  # fmt: skip
def test_an_item_that_does_not_succeed_says_why(
    item: Work, length: int, ending: tuple[str, str, str]
) -> None:
    chunk = Chunk((item, work(9)), NOON, bars(length, 5))
    [part] = parts_of(chunk, Spec(), 1, nothing)
    [result, other], rows = part.results, part.computed.rows
    assert (result.state, result.error_code, result.message) == ending
    assert other.state == "succeeded"
    assert rows.asset_ids.tolist() == [9]


def fails_for_13(panel: Panel, rows: int) -> Outputs:
    if (panel.raw_close == 13.0).any():
        raise TypeError
    return (panel.raw_close[-rows:],)


def test_a_fault_ends_the_asset_that_it_is_of_only(caplog: pytest.LogCaptureFixture) -> None:
    found = bars(5, 5, 5, 2)
    found.values[7, 3] = 13.0
    [price] = [indicator for indicator in REGISTRY if indicator.name == "current_price"]
    rows, _, _, faults = rows_of(
        np.array([3, 4, 5, 6], dtype=np.int32), found, usual=600,
        indicators=[replace(price, kernel=fails_for_13)],
    )  # fmt: skip
    assert rows.asset_ids.tolist() == [3, 5, 6]
    assert {asset_id: type(fault) for asset_id, fault in faults.items()} == {4: TypeError}
    assert sum(bool(record.exc_info) for record in caplog.records) == 1


def test_a_longer_history_than_usual_gives_the_same_row() -> None:
    found = bars(700, 5)
    together, *_ = rows_of(np.array([3, 4], dtype=np.int32), found, usual=1000)
    apart, *_ = rows_of(np.array([3, 4], dtype=np.int32), found, usual=600)
    assert apart.asset_ids.tolist() == [4, 3]
    assert apart.bars_used.tolist() == [5, 700]
    for column in COLUMNS:
        np.testing.assert_array_equal(apart.values[column], together.values[column][::-1])


def test_bars_of_assets_that_were_read_apart_are_as_those_read_together() -> None:
    found = walking(30, 0, 3, 5, 2)
    joined = Bars.joined([found.part(*ends) for ends in ((0, 2), (2, 2), (2, 5))])
    for name in Bars.__slots__:
        np.testing.assert_array_equal(getattr(joined, name), getattr(found, name))


def whole_history(asset_ids: NDArray[np.int32], found: Bars, **wanted: Any) -> Computed:
    return History(asset_ids, found, **wanted).part(slice(0, len(asset_ids)))


def test_every_day_since_one_has_a_row() -> None:
    found = bars(30, 3, 1)
    since = int(found.dates[28])
    asset_ids = np.array([3, 4, 5], dtype=np.int32)
    rows, earlier, *_ = whole_history(asset_ids, found, since=since - 1)
    assert rows.asset_ids.tolist() == [3, 4, 5]
    assert (rows.days - since).tolist() == [1, -26, -28]
    assert rows.bars_used.tolist() == [30, 3, 1]
    assert [math.isnan(value) for value in rows.values["rsi_14"]] == [True, True, True]
    assert rows.values["bb_middle"][:1].tolist() == [10.0]
    assert earlier.asset_ids.tolist() == [3, 3]
    assert (earlier.days - since).tolist() == [-1, 0]
    assert earlier.bars_used.tolist() == [28, 29]
    assert earlier.values["bb_middle"].tolist() == [10.0, 10.0]
    assert set(rows.values) == set(earlier.values) == set(COLUMNS)


def test_the_days_before_the_last_have_the_columns_that_are_asked_for() -> None:
    found = walking(300, 280, 40)
    since, asset_ids = int(found.dates[250]), np.array([3, 4, 5], dtype=np.int32)
    rows, every, *_ = whole_history(asset_ids, found, since=since)
    wanted = ("rsi_14", "macd", "sma_50", "obv", "beta")
    last, some, *_ = whole_history(asset_ids, found, since=since, columns=wanted)
    assert some.asset_ids.tolist() == every.asset_ids.tolist() == [3] * 49 + [4] * 29
    assert some.days.tolist() == every.days.tolist()
    assert some.bars_used.tolist() == every.bars_used.tolist()
    assert set(some.values) == set(wanted)
    for column, values in some.values.items():
        np.testing.assert_array_equal(values, every.values[column])
    assert np.isfinite(some.values["macd"]).all()
    assert last.values.keys() == rows.values.keys()
    for column, values in last.values.items():
        np.testing.assert_array_equal(values, rows.values[column])


def test_a_bar_that_was_set_aside_has_no_row_and_is_not_computed_across() -> None:
    found = bars(62)
    found.values[40] = math.nan
    asset_ids, since = np.array([3], dtype=np.int32), int(found.dates[39])
    rows, earlier, *_ = whole_history(asset_ids, found, since=since)
    assert (rows.days - since).tolist() == [22]
    assert (earlier.days - since).tolist() == [0, *range(2, 22)]
    assert np.isnan(earlier.values["wma_20"][1:]).tolist() == [True] * 19 + [False]
    assert np.isfinite(rows.values["wma_20"]).all()
    assert np.isnan(earlier.values["ema_12"][1:]).all()
    assert np.isnan(rows.values["ema_12"]).all()


def with_a_fault(
    monkeypatch: pytest.MonkeyPatch, name: str, kernel: Callable[..., Outputs]
) -> Bars:
    """Bars of four assets, for the second of which the one indicator of histories fails."""
    found = bars(5, 5, 5, 2)
    found.values[7, 3] = 13.0
    [indicator] = [indicator for indicator in REGISTRY if indicator.name == name]
    monkeypatch.setattr(history, "REGISTRY", [replace(indicator, kernel=kernel)])
    return found


def test_a_fault_of_a_history_ends_the_asset_that_it_is_of_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = with_a_fault(monkeypatch, "current_price", fails_for_13)
    asset_ids = np.array([3, 4, 5, 6], dtype=np.int32)
    rows, earlier, _, faults = whole_history(asset_ids, found, since=int(found.dates[2]))
    assert rows.asset_ids.tolist() == [3, 5, 6]
    assert earlier.asset_ids.tolist() == [3, 3, 5, 5]
    assert {asset_id: type(fault) for asset_id, fault in faults.items()} == {4: TypeError}


def carried_fails_for_13(panel: Panel, rows: int, window: int) -> Outputs:
    fails_for_13(panel if panel.within is None else panel.within[0], rows)
    return carried(panel, Ema(window), rows)


def test_a_fault_of_what_is_computed_together_is_nobodys_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = with_a_fault(monkeypatch, "ema_12", carried_fails_for_13)
    parts = History(np.array([3, 4, 5, 6], dtype=np.int32), found, since=int(found.dates[2]))
    ended = [parts.part(slice(number, number + 1)) for number in range(4)]
    assert [part.earlier.asset_ids.tolist() for part in ended] == [[3, 3], [], [5, 5], []]
    assert [list(part.faults) for part in ended] == [[], [4], [], []]


@pytest.mark.parametrize("columns", [COLUMNS, ("rsi_14", "macd", "ema_12", "obv", "adx", "sar")])
def test_assets_of_which_a_history_is_asked_for_apart_have_the_rows_of_all(
    columns: tuple[str, ...],
) -> None:
    found = walking(900, 40, 700, 260, 1)
    asset_ids = np.arange(3, 8, dtype=np.int32)
    since = int(found.dates[640])
    together = History(asset_ids, found, since=since, columns=columns)
    parts = [together.part(slice(*ends)) for ends in ((0, 2), (2, 3), (3, 5))]
    for begin, part in enumerate(parts):
        own = slice((0, 2, 3)[begin], (2, 3, 5)[begin])
        some = found.part(own.start, own.stop)
        alone = History(asset_ids[own], some, since=since, columns=columns).alone(
            slice(0, own.stop - own.start)
        )
        for rows, right in ((part.rows, alone.rows), (part.earlier, alone.earlier)):
            assert rows.asset_ids.tolist() == right.asset_ids.tolist()
            assert rows.days.tolist() == right.days.tolist()
            assert rows.values.keys() == right.values.keys()
            for column, values in rows.values.items():
                np.testing.assert_array_equal(values, right.values[column])
        np.testing.assert_array_equal(part.states.values, alone.states.values)
    assert [len(part.earlier) for part in parts] == [259, 59, 0]


def test_items_of_a_history_come_in_parts_those_without_bars_too() -> None:
    works = tuple(work(number) for number in range(1, 8))
    chunk = Chunk(works, NOON, bars(0, 2, 0, 3, 0, 1, 0))
    spec = Spec(history_from=day_of(chunk.bars.dates[0]))
    began: list[str] = []
    following = parts_of(chunk, spec, 2, lambda: began.append("the next chunk"))
    parts = [next(following)]
    assert began == []
    parts += following
    assert began == ["the next chunk"]
    assert [[result.work.asset_id for result in part.results] for part in parts] == [
        [1, 2, 3, 4, 5], [6, 7]
    ]  # fmt: skip
    assert [[result.state for result in part.results] for part in parts] == [
        ["failed", "succeeded", "failed", "succeeded", "failed"], ["succeeded", "failed"]
    ]  # fmt: skip
    assert [part.computed.rows.asset_ids.tolist() for part in parts] == [[2, 4], [6]]
    assert [part.computed.earlier.asset_ids.tolist() for part in parts] == [[2, 4, 4], []]


def test_a_long_history_gives_the_last_row_of_a_run_without_one() -> None:
    found = walking(900, 700, 100)
    asset_ids = np.array([3, 4, 5], dtype=np.int32)
    rows, earlier, *_ = whole_history(asset_ids, found, since=int(found.dates[890]))
    cut = needed(found.dates, found.values, found.lengths, int(found.dates[-1]) + 9_000)
    alone, *_ = rows_of(asset_ids, found.where(cut))
    assert rows.bars_used.tolist() == [640, 640, 100]
    for column, values in alone.values.items():
        # What adds up is not known of the last bars alone.
        cumulative = np.isnan(values[:2]).all()
        np.testing.assert_array_equal(
            rows.values[column][2 * cumulative :], values[2 * cumulative :]
        )
    assert np.isfinite(rows.values["obv"]).all()
    before = found.where(np.concatenate([np.arange(900) < 899, np.ones(800, dtype=np.bool_)]))
    then, *_ = whole_history(asset_ids, before, since=int(found.dates[-1]) + 9_000)
    for column in COLUMNS:
        assert earlier.values[column][8] == pytest.approx(
            then.values[column][0], rel=1e-9, nan_ok=True
        )


@pytest.mark.parametrize(
    ("since", "columns", "items"),
    [
        (None, 120, 1000),
        ("2026-11-20", 1, 90),
        ("2023-01-20", 31, 90),
        ("2023-01-20", 120, 38),
        ("1990-01-01", 120, 4),
    ],
)
def test_the_more_a_history_asks_for_the_fewer_assets_are_computed_at_once(
    since: str | None, columns: int, items: int
) -> None:
    day = None if since is None else dt.date.fromisoformat(since)
    spec = Spec(history_from=day, history_columns=COLUMNS[:columns])
    assert part_size(spec, 1000, dt.date(2026, 11, 20)) == items
    assert part_size(spec, 1, dt.date(2026, 11, 20)) == 1


def test_a_spec_names_the_columns_of_a_history() -> None:
    since = {"from": "2024-01-02"}
    spec = Spec.from_json({"history": {**since, "columns": ["sma_50", "current_price", "ema_12"]}})
    assert (spec.history_from, spec.history_columns) == (DAY, ("sma_50", "ema_12", "current_price"))
    assert Spec.from_json({"history": since}).history_columns == COLUMNS
    assert Spec.from_json({}).history_columns == COLUMNS


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            ["sma_50", "sma_51"],
            "spec.history.columns[1]: 'sma_51' is no column of indicators; there are sma_50, sma_",
        ),
        (["bars_used"], "spec.history.columns[0]: 'bars_used' is no column of indicators; there"),
        ([], "spec.history.columns: names none; leave it out for every column"),
    ],
    ids=["no column", "a column that is no indicator", "none"],
)
def test_a_spec_that_names_no_column_is_refused(columns: list[str], said: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        Spec.from_json({"history": {"from": "2024-01-02", "columns": columns}})
    assert str(caught.value).startswith(said)
