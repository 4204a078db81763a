"""The judge agrees with the engine on every column wherever both are right, and would not where a
column were wrong."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from engine_bars import Asset, random_asset, real_assets
from ta.trend import PSARIndicator
from ta.volume import NegativeVolumeIndexIndicator

from screener_analyzer import judge
from screener_analyzer.engine import compute
from screener_analyzer.judge.definitions import Value
from screener_analyzer.judge.lines import Lines
from screener_analyzer.judge.verdict import DEFINED
from screener_analyzer.panel import Adjusted
from screener_analyzer.reference import Ta
from screener_analyzer.registry import COLUMNS, LONGEST_HISTORY, REGISTRY
from screener_analyzer.ta_classes import CLASSES, INPUTS, as_series

TOLERANCE = 1e-9
OUTPUTS = {output.column: output for row in REGISTRY for output in row.outputs}
ADDING = {"obv", "adi", "vpt", "nvi", "cumulative_return"}
CROSSINGS = {
    column
    for row in REGISTRY
    if row.name.endswith("_crossings")
    for column in (output.column for output in row.outputs)
}


def last_row(
    asset: Asset, *, whole: bool = True, adjusted: Adjusted = "all"
) -> dict[str, float | None]:
    """As it would be stored."""
    computed = compute(asset.panel(whole=whole, adjusted=adjusted))
    return {
        column: None if math.isnan(values[0, 0]) else float(values[0, 0])
        for column, values in computed.items()
    }


def disagreements(
    asset: Asset, read: Asset | None = None, *, whole: bool = True, adjusted: Adjusted = "all"
) -> dict[str, tuple[float | None, Value | None]]:
    """By column, where they differ: (stored, right). `read`: what the engine is given of it."""
    stored = last_row(read or asset, whole=whole, adjusted=adjusted)
    history = asset.history(adjusted)
    right = judge.judged(history)
    return {
        column: (stored[column], right[column])
        for column, deviation in judge.deviations(stored, right, history).items()
        if deviation > TOLERANCE
    }


def test_every_column_is_judged_by_ta_or_from_its_definition() -> None:
    by_ta = {column for column, output in OUTPUTS.items() if isinstance(output.reference, Ta)}
    defined = [column for names in DEFINED for column in names.split()]
    assert len(defined) == len(set(defined))
    assert by_ta | set(defined) == set(COLUMNS) == set(judge.COLUMNS)
    right = judge.judged(random_asset(0, 400).history())
    assert {column for column, value in right.items() if value is None} <= CROSSINGS


def test_columns_that_are_not_wanted_are_not_judged() -> None:
    history = random_asset(0, 400).history()
    whole = judge.judged(history)
    for wanted in (COLUMNS[:31], ("golden_cross_bars", "stc", "return_1d", "obv"), ()):
        assert judge.judged(history, wanted) == {column: whole[column] for column in wanted}


@pytest.mark.parametrize(
    "length",
    sorted(
        {1, 2, 3, 300, LONGEST_HISTORY}
        | {output.minimum_bars + more for output in OUTPUTS.values() for more in (-1, 0)} - {0}
    ),
)
def test_of_any_length_they_agree(length: int) -> None:
    assert disagreements(random_asset(length, length, 1 + length % 2)) == {}


@pytest.mark.parametrize("ago", [1, 4, 13, 18, 19, 20, 21, 25, 29, 30, 52])
def test_around_a_bar_that_was_set_aside_they_agree(ago: int) -> None:
    asset = random_asset(ago, 330)
    assert disagreements(asset.changed(slice(329 - ago, 330 - ago), np.nan)) == {}


@pytest.mark.parametrize("ago", [119, 199, 200, 219, 220, 252, 280, 329])
def test_long_after_a_bar_that_was_set_aside_they_agree(ago: int) -> None:
    asset = random_asset(ago, 330)
    assert disagreements(asset.changed(slice(329 - ago, 330 - ago), np.nan)) == {}


@pytest.mark.parametrize("bars", [1, 2, 12, 13, 14, 15, 16, 18, 22, 31, 60, 179, 252, 401])
def test_after_a_halt_they_agree(bars: int) -> None:
    asset = random_asset(bars, 500)
    halted = asset.changed(slice(-bars, None), asset.bars[-bars - 1, 3], slice(0, 5))
    if bars % 2:
        halted = halted.changed(slice(-bars, None), 0, slice(5, 6))
    assert disagreements(halted) == {}


@pytest.mark.parametrize(("price", "volume"), [(12.34, 0.0), (0.07, 1_000.0), (311.1, 7.0)])
def test_of_an_asset_that_never_moved_they_agree(price: float, volume: float) -> None:
    flat = random_asset(1, 500).changed(slice(None), [price] * 5 + [volume])
    assert disagreements(flat) == {}


@pytest.mark.parametrize("adjusted", ["all", "splits", "none"])
def test_however_prices_are_adjusted_they_agree(adjusted: Adjusted) -> None:
    assert disagreements(random_asset(2, 400), adjusted=adjusted) == {}


@pytest.mark.parametrize("seed", range(3))
def test_what_is_read_of_a_long_history_gives_what_the_whole_gives(seed: int) -> None:
    asset = random_asset(seed, 2_300)
    found = disagreements(asset, asset.last(LONGEST_HISTORY), whole=False)
    assert found.keys() == ADDING, "what adds up is known with what was carried alone"


@pytest.mark.skipif(not real_assets(), reason="no shared data")
def test_of_real_series_they_agree() -> None:
    for name, asset in real_assets().items():
        assert disagreements(asset) == {}, name


def tolerated(row: Mapping[str, float | None], asset: Asset) -> set[str]:
    """Columns that the judge takes as they are."""
    history = asset.history()
    found = judge.deviations(row, judge.judged(history), history)
    return {column for column, deviation in found.items() if deviation <= 1e-6}


def test_a_column_that_is_off_by_little_is_seen() -> None:
    asset = random_asset(4, 330)
    right = last_row(asset)
    off = {column: None if x is None else x * 1.001 + 0.01 for column, x in right.items()}
    assert tolerated(off, asset) == {column for column, value in right.items() if value is None}


def test_null_for_a_value_and_a_value_for_null_are_seen() -> None:
    asset = random_asset(4, 330)
    assert tolerated(dict.fromkeys(COLUMNS), asset) <= CROSSINGS
    young = asset.first(30)
    guessed = {column: 0.0 if x is None else x for column, x in last_row(young).items()}
    unknown = {column for column, value in last_row(young).items() if value is None}
    assert unknown and not tolerated(guessed, young) & unknown


def test_null_of_what_adds_up_is_wrong_however_long_the_history_is() -> None:
    assert {column for column, output in OUTPUTS.items() if output.history == 0} == ADDING
    for length in (LONGEST_HISTORY + 60, LONGEST_HISTORY - 1):
        asset = random_asset(5, length)
        row = last_row(asset) | dict.fromkeys(ADDING)
        assert not ADDING & tolerated(row, asset)


def test_a_hole_that_a_run_does_not_reach_matters_to_what_adds_up_alone() -> None:
    history = random_asset(8, LONGEST_HISTORY + 60).history()
    right = judge.judged(history)
    for name in ("open", "high", "low", "close", "volume", "raw_close"):
        getattr(history, name)[20] = np.nan
    found = judge.judged(history)
    for column, value in found.items():
        before = right[column]
        if column in ADDING - {"cumulative_return"} or before is None:
            assert value is None
        else:
            assert value == pytest.approx(before, rel=1e-9, abs=1e-9)


def test_two_lines_that_are_one_but_for_rounding_may_have_crossed_or_not() -> None:
    asset = random_asset(6, 400)
    # 220 closes of which the last changes the two means by a billionth.
    flat = asset.changed(slice(-260, None), 10.0, slice(0, 5))
    nearly = flat.changed(slice(-1, None), 10.0 + 1e-12, slice(0, 5))
    assert judge.judged(nearly.history())["golden_cross_bars"] is judge.UNDECIDED
    assert judge.judged(flat.history())["golden_cross_bars"] is None


def test_what_is_computed_faster_than_ta_does_is_what_ta_computes() -> None:
    history = random_asset(7, 700).history()
    lines = Lines(history)
    high, low, close, volume = (
        pd.Series(getattr(history, name)) for name in ("high", "low", "close", "volume")
    )
    nvi = lines.line(Ta("volume", "NegativeVolumeIndexIndicator", "negative_volume_index"), 0)
    theirs = NegativeVolumeIndexIndicator(close, volume).negative_volume_index()
    assert nvi == pytest.approx(theirs.to_numpy(), rel=1e-12)
    right = PSARIndicator(high, low, close)
    for method in CLASSES["PSARIndicator"].outputs:
        line = lines.line(Ta("trend", "PSARIndicator", method), 0)
        assert np.array_equal(line, getattr(right, method)().to_numpy(), equal_nan=True), method


def test_no_class_of_ta_changes_the_series_that_all_are_fed_with() -> None:
    history = random_asset(7, 300).history()
    fed = {name: as_series(getattr(history, name)) for name in INPUTS}
    before = {name: series.copy() for name, series in fed.items()}
    references = [output.reference for output in OUTPUTS.values()]
    for reference in (each for each in references if isinstance(each, Ta)):
        built = CLASSES[reference.name].of(fed, reference.parameters)
        getattr(built, reference.method)()
        for name, series in fed.items():
            pd.testing.assert_series_equal(series, before[name], obj=f"{name} after {reference}")


def test_a_cycle_of_closes_that_long_do_not_move_is_undecided_and_of_others_is_not() -> None:
    asset = random_asset(3, 400)
    assert judge.judged(asset.history())["stc"] is not judge.UNDECIDED
    still = asset.bars.copy()
    still[340:, :5] = still[339, :5]
    assert judge.judged(replace(asset, bars=still).history())["stc"] is judge.UNDECIDED
