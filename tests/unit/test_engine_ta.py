"""Every column that `ta` has equals it, over the whole of a series and over every length.

`ta` is fed correctly: one asset, a RangeIndex, its full history. Where it answers and there is no
answer (its warm-up zeros, a flat window), ours is NULL and is tested elsewhere.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from engine_bars import real_assets
from ta_columns import TOLERANCE, WITH_TA, random_bars, scale, theirs

from screener_analyzer.engine import compute
from screener_analyzer.panel import FIELDS, Matrix, Panel, panel
from screener_analyzer.registry import Output

LONGEST = 3_000
LENGTHS = (1, 2, 3, 14, 15, 16, 27, 28, 40, 60, 200, 300, 1_200)


SERIES = {
    "rounded to cents": 2,
    "not rounded": None,
    "ticks of a tenth": 1,
}


@cache
def together() -> tuple[Panel, list[Matrix]]:
    """All lengths of all kinds of series in one panel, so that each begins elsewhere in it."""
    bars = [
        random_bars(seed, length, digits)
        for seed, digits in enumerate(SERIES.values())
        for length in LENGTHS
    ]
    bars.append(random_bars(len(SERIES), LONGEST))
    lengths = [len(each) for each in bars]
    return panel(
        np.concatenate(bars), lengths, rebased=False, whole=np.ones(len(bars), dtype=np.bool_)
    ), bars


@cache
def all_rows() -> dict[str, Matrix]:
    whole, _ = together()
    return compute(whole, rows=whole.rows)


@pytest.mark.parametrize("output", WITH_TA, ids=lambda output: output.column)
def test_a_column_equals_ta_in_every_row(output: Output) -> None:
    ours_everywhere = all_rows()[output.column]
    whole, bars = together()
    compared = 0
    for asset, each in enumerate(bars):
        ours = ours_everywhere[-len(each) :, asset]
        right = theirs(output, whole, asset, len(each))
        have = np.isfinite(ours)
        missing = np.flatnonzero(have & ~np.isfinite(right))
        assert not len(missing), f"ta has nothing in rows {missing[:5]} of {len(each)}"
        limit = TOLERANCE * np.maximum(
            np.abs(right), scale(output, whole.close[-len(each) :, asset])
        )
        off = np.abs(ours - right) - limit
        assert not (off[have] > 0).any(), (
            f"{len(each)} bars: row {np.flatnonzero(have)[np.argmax(off[have])]},"
            f" off by {np.max(np.abs(ours - right)[have])}"
        )
        # From its minimum of bars on a column of moving prices has a value.
        assert have[: output.minimum_bars - 1].sum() == 0
        assert have[output.minimum_bars - 1 :].all()
        compared += int(have.sum())
    assert compared > 3_000


@pytest.mark.skipif(not real_assets(), reason="no shared data")
def test_every_column_equals_ta_in_every_row_of_real_series() -> None:
    for name, asset in real_assets().items():
        whole = replace(asset.panel(), bases=None)
        computed = compute(whole, rows=whole.rows)
        for output in WITH_TA:
            ours = computed[output.column][:, 0]
            right = theirs(output, whole, 0, len(asset))
            have = np.isfinite(ours)
            limit = TOLERANCE * np.maximum(np.abs(right), scale(output, whole.close[:, 0]))
            off = np.abs(ours - right)
            assert (off[have] <= limit[have]).all(), (name, output.column, np.max(off[have]))
            # Where ta has a value ours is NULL only before its minimum of bars.
            missing = np.isfinite(right) & ~have
            assert not missing[output.minimum_bars - 1 :].any(), (name, output.column)


@pytest.mark.parametrize("output", WITH_TA, ids=lambda output: output.column)
def test_an_asset_alone_has_the_same_last_row_bit_for_bit(output: Output) -> None:
    _, bars = together()
    for asset in (1, 7, 11, 20, 24):
        alone = compute(
            panel(bars[asset], [len(bars[asset])], rebased=False, whole=np.ones(1, dtype=np.bool_))
        )[output.column]
        assert np.array_equal(alone[-1, 0], all_rows()[output.column][-1, asset], equal_nan=True)


def test_the_latest_row_alone_is_the_last_of_all_rows_bit_for_bit() -> None:
    whole, _ = together()
    latest = compute(replace(whole, kept={}))
    for column, values in all_rows().items():
        assert np.array_equal(latest[column][0], values[-1], equal_nan=True), column
    assert whole.rows == LONGEST


def test_the_fields_are_those_of_a_stored_bar() -> None:
    assert FIELDS == ("open", "high", "low", "close", "adjusted_close", "volume")
