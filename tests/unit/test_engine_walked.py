"""What is carried, gone on from: the columns equal those of walks from the first bar."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

from screener_analyzer import walked
from screener_analyzer.bars import Bars
from screener_analyzer.carry import AverageTrueRange, Carried, Ema, Flows
from screener_analyzer.computing import Computed, rows_of
from screener_analyzer.panel import Matrix, State
from screener_analyzer.registry import LONGEST_HISTORY, REGISTRY
from screener_analyzer.walked import BACK, LEAST_BEFORE, TAIL, Walked, reaches

LATER = 40
LENGTH = LONGEST_HISTORY + LATER
CUMULATIVE = {o.column for row in REGISTRY for o in row.outputs if o.history == 0}
KINDS = ("usual", "no volume at times", "flat at times", "one price a bar", "jumps", "small")


def series() -> Matrix:
    """(assets, LENGTH, fields): one asset of each of KINDS."""
    chance = np.random.default_rng(7)
    moves = chance.normal(0, 0.02, (len(KINDS), LENGTH))
    moves[2, (np.arange(LENGTH) // 15) % 2 == 0] = 0
    moves[4, ::50] = 0.5 * chance.choice([-1, 1], LENGTH // 50 + 1)[: len(moves[4, ::50])]
    close = np.round(50 * np.exp(np.cumsum(moves, axis=1)), 4)
    close[5] = np.round(close[5] / 1000, 4)
    width = 1 + 0.02 * chance.random(close.shape)
    width[3] = 1
    volume = chance.integers(1, 10**6, close.shape).astype(float)
    volume[1, chance.random(LENGTH) < 0.5] = 0
    volume[1, 200:240] = 0
    fields = close / width, close * width, close / width, close, close, volume
    return np.stack(fields, axis=2)


def bars_of(values: Matrix, splits: Matrix | None = None) -> Bars:
    """Of assets (assets, bars, fields)."""
    assets, length, _ = values.shape
    return Bars(
        # Five a week.
        np.tile(10_000 - np.arange(length, dtype=np.int32)[::-1] * 7 // 5, assets),
        values.reshape(-1, 6),
        np.full(assets, length, dtype=np.intp),
        np.ones(assets * length) if splits is None else splits.ravel(),
        np.full(assets * length, np.nan),
        np.ones(assets),
        np.zeros(assets, dtype=np.intp),
    )


def computed(values: Matrix, carried: Walked, splits: Matrix | None = None) -> Computed:
    assets = len(values)
    ids = np.arange(assets, dtype=np.int32)
    # What adds up is not of interest here: it begins with these bars.
    known = State(np.zeros((5, assets)), np.zeros(assets, dtype=np.intp))
    found = rows_of(ids, bars_of(values, splits), usual=LENGTH, known=known, walked=carried)
    assert not found.faults
    return found


def first_run(values: Matrix) -> Matrix:
    return computed(values, Walked.none(len(values))).states.walked


def assert_equal(ours: Computed, right: Computed, *, tolerance: float = 0) -> None:
    assert ours.rows.asset_ids.tolist() == right.rows.asset_ids.tolist()
    for column, values in right.rows.values.items():
        if column not in CUMULATIVE:
            np.testing.assert_allclose(
                ours.rows.values[column], values, rtol=tolerance, atol=tolerance, err_msg=column
            )


@pytest.mark.parametrize("length", [LEAST_BEFORE + BACK, LONGEST_HISTORY])
@pytest.mark.parametrize("later", [0, 1, 7, LATER])
def test_it_is_what_a_walk_from_the_same_first_bar_gives_bit_for_bit(
    length: int, later: int
) -> None:
    values = series()
    carried = first_run(values[:, :length])
    new_bars = np.full(len(values), BACK + later, dtype=np.intp)
    whole = values[:, : length + later]
    now = whole[:, -LONGEST_HISTORY:]
    assert Walked(carried, new_bars).holds(bars_of(now)).all()
    ours = computed(now, Walked(carried, new_bars))
    right = computed(whole, Walked.none(len(values)))
    assert_equal(ours, right)
    np.testing.assert_array_equal(ours.states.walked, right.states.walked)


def ending(bars: Bars, length: int) -> Bars:
    """The last bars of each, the others left out."""
    from_end = np.repeat(np.cumsum(bars.lengths), bars.lengths) - np.arange(len(bars.dates))
    kept = bars.where(from_end <= length)
    return replace(kept, left_out=bars.lengths - kept.lengths)


def with_benchmark(bars: Bars, *, missing: float = 0) -> Bars:
    chance = np.random.default_rng(11)
    closes = 100 * np.exp(np.cumsum(chance.normal(0, 0.01, 20_000)))
    closes[chance.random(len(closes)) < missing] = np.nan
    return replace(bars, benchmark=closes[bars.dates])


@pytest.mark.parametrize("later", [0, LATER])
def test_the_end_of_the_bars_gives_what_all_of_them_give_bit_for_bit(later: int) -> None:
    values = series()
    carried = first_run(values[:, :LONGEST_HISTORY])
    resumed = Walked(carried, np.full(len(values), BACK + later, dtype=np.intp))
    now = with_benchmark(bars_of(values[:, : LONGEST_HISTORY + later][:, -LONGEST_HISTORY:]))
    ends = ending(now, TAIL)
    assert ends.lengths.tolist() == [TAIL] * len(values)
    assert resumed.holds(ends).all()
    assert reaches(ends, np.zeros(len(values), dtype=np.int32)).all()
    ids = np.arange(len(values), dtype=np.int32)
    state = State(np.ones((5, len(values))), np.ones(len(values), dtype=np.intp))
    ours, right = (
        rows_of(ids, bars, usual=LENGTH, known=state, walked=resumed) for bars in (ends, now)
    )
    assert not ours.faults
    for column, expected in right.rows.values.items():
        np.testing.assert_array_equal(ours.rows.values[column], expected, err_msg=column)
    np.testing.assert_array_equal(ours.rows.bars_used, right.rows.bars_used)
    np.testing.assert_array_equal(ours.states.values, right.states.values)
    np.testing.assert_array_equal(ours.states.walked, right.states.walked)


def test_the_end_of_the_bars_reaches_a_year_and_its_sessions_in_common_with_the_benchmark() -> None:
    whole = with_benchmark(bars_of(series()))
    early, none_before = (np.full(len(KINDS), day, dtype=np.int32) for day in (0, 20_000))
    assert reaches(ending(whole, 366 * 5 // 7 + 2), early).all()
    assert not reaches(ending(whole, 366 * 5 // 7 + 1), early).any()
    gappy = ending(with_benchmark(bars_of(series()), missing=0.5), 400)
    assert not reaches(gappy, early).any()
    assert reaches(gappy, none_before).all()
    assert reaches(with_benchmark(bars_of(series()[:, :5])), early).all()


def test_bars_of_some_assets_are_put_in_the_place_of_theirs() -> None:
    whole = with_benchmark(bars_of(series()))
    mixed = ending(whole, 300).with_others(
        np.array([1, 4]), whole.of(np.isin(np.arange(len(KINDS)), [1, 4]))
    )
    assert mixed.lengths.tolist() == [300, LENGTH, 300, 300, LENGTH, 300]
    assert mixed.used.tolist() == [LENGTH] * len(KINDS)
    for place in range(len(KINDS)):
        ours, right = (bars.part(place, place + 1) for bars in (mixed, whole))
        for name in ("dates", "values", "splits", "benchmark"):
            expected = getattr(right, name)[-ours.lengths[0] :]
            np.testing.assert_array_equal(getattr(ours, name), expected)


def test_young_assets_go_on_beside_old_ones() -> None:
    values = series()
    lengths = np.array([LEAST_BEFORE + BACK, 250, 300, 450, LONGEST_HISTORY - 1, LONGEST_HISTORY])
    parts = [asset[-length:] for asset, length in zip(values, lengths, strict=True)]
    carried = np.stack([first_run(part[np.newaxis])[:, 0] for part in parts], axis=1)
    each = [bars_of(part[np.newaxis]) for part in parts]
    together = Bars(
        np.concatenate([bars.dates for bars in each]),
        np.concatenate(parts),
        lengths,
        np.ones(lengths.sum()),
        np.full(lengths.sum(), np.nan),
        np.ones(len(parts)),
        np.zeros(len(parts), dtype=np.intp),
    )
    ids = np.arange(len(parts), dtype=np.int32)
    resumed = Walked(carried, np.full(len(parts), BACK, dtype=np.intp))
    assert resumed.holds(together).all()
    ours = rows_of(ids, together, usual=LENGTH, walked=resumed)
    assert_equal(ours, rows_of(ids, together, usual=LENGTH), tolerance=1e-12)


def test_assets_go_on_from_bars_of_their_own() -> None:
    values = series()
    later = np.arange(len(values)) * 7
    carried = np.stack(
        [
            first_run(values[place : place + 1, LATER - n : LATER - n + LONGEST_HISTORY])[:, 0]
            for place, n in enumerate(later)
        ],
        axis=1,
    )
    now = values[:, LATER:]
    ours = computed(now, Walked(carried, BACK + later))
    assert Walked(carried, BACK + later).holds(bars_of(now)).all()
    assert_equal(ours, computed(now, Walked.none(len(values))), tolerance=1e-9)


def test_it_is_not_gone_on_from_where_factors_are_others() -> None:
    values = series()
    carried = first_run(values[:, :LONGEST_HISTORY])
    now = values[:, 1 : LONGEST_HISTORY + 1].copy()
    splits = np.ones(now.shape[:2])
    now[0, :-1, 4] *= 0.98  # a dividend of the last bar's day
    splits[1, :-1] = 0.5  # a split of that day
    new_bars = np.full(len(values), BACK + 1, dtype=np.intp)
    resumed = Walked(carried, new_bars)
    held = resumed.holds(bars_of(now, splits))
    assert held.tolist() == [False, False, True, True, True, True]
    ours = computed(now, resumed, splits)
    order = np.argsort(ours.rows.asset_ids)
    right = computed(now, Walked.none(len(values)), splits)
    for column, found in right.rows.values.items():
        if column not in CUMULATIVE:
            np.testing.assert_allclose(
                ours.rows.values[column][order], found, rtol=1e-9, atol=1e-9, err_msg=column
            )


def test_of_an_asset_with_a_bar_without_values_it_is_not_known() -> None:
    values = series()[:, :LONGEST_HISTORY]
    values[2, 100] = np.nan
    carried = first_run(values)
    resumed = Walked(carried, np.full(len(values), BACK, dtype=np.intp))
    assert resumed.holds(bars_of(values)).tolist() == [True, True, False, True, True, True]


def test_a_bar_without_values_that_came_later_is_in_what_is_computed() -> None:
    values = series()
    carried = first_run(values[:, :LONGEST_HISTORY])
    now = values[:, 5 : LONGEST_HISTORY + 5]
    now[:, -3] = np.nan
    ours = computed(now, Walked(carried, np.full(len(values), BACK + 5, dtype=np.intp)))
    assert_equal(ours, computed(now, Walked.none(len(values))), tolerance=1e-9)


def test_what_is_packed_is_known_again_and_only_to_the_same_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    carried = first_run(series()[:, :LONGEST_HISTORY])
    packed = walked.pack(carried)
    values, known = walked.unpack([*packed, None, b"", packed[0][:-1]])
    assert known.tolist() == [True] * len(packed) + [False] * 3
    np.testing.assert_array_equal(values[:, : len(packed)], carried)
    monkeypatch.setattr(walked, "_made_by", lambda: bytes(16))
    assert not walked.unpack(packed)[1].any()


def test_every_walk_of_the_registry_can_be_resumed() -> None:
    # What adds up has a state of its own, means of closes come with MACD, ranges with movements.
    kinds = {type(name) for name in walked.layout()} | {Flows, Ema, AverageTrueRange}
    assert {kind.__name__ for kind in kinds} == {one.__name__ for one in Carried.__subclasses__()}


def test_what_is_computed_does_not_hold_the_bars() -> None:
    values = series()
    bars = bars_of(values)
    held = weakref.ref(bars.dates)
    gc.disable()
    try:
        found = rows_of(np.arange(len(values), dtype=np.int32), bars, usual=LENGTH)
        del bars
        assert held() is None
        assert len(found.rows) == len(values)
    finally:
        gc.enable()
