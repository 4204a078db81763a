"""Columns of sums over a window against long double, on series where running sums lose digits.

pandas moves a sum along: a bar comes in, one goes out, and a rounding residue of what was large
stays. So `ta` is off by more than 1e-9 where prices or volumes were a million times what they are,
or where they move little; here each window is added up by itself, in 64 bits of mantissa.
"""

import re
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from ta_columns import TOLERANCE, random_bars, scale, theirs

from screener_analyzer.engine import compute
from screener_analyzer.panel import Matrix, Panel, panel
from screener_analyzer.reference import Ta
from screener_analyzer.registry import REGISTRY
from screener_local.paths import PROJECT

pytestmark = pytest.mark.skipif(
    bool(np.finfo(np.longdouble).eps > 1e-18), reason="a long double has no more digits here"
)

LENGTH = 3_000
Long = np.ndarray
"""Of np.longdouble."""
Fields = dict[str, Long]


# --- series -----------------------------------------------------------------------------------


def _plain() -> Matrix:
    return random_bars(5, LENGTH, None)


def _fallen() -> Matrix:
    """Prices end at a millionth of what they were."""
    bars = _plain()
    bars[: LENGTH // 2, :5] *= 1e6
    return bars


def _forgotten() -> Matrix:
    """A billion times as much was traded once."""
    bars = _plain()
    bars[: LENGTH // 2, 5] *= 1e8
    bars[LENGTH // 2 :, 5] = np.maximum(np.round(bars[LENGTH // 2 :, 5] * 1e-3), 1)
    return bars


def _spiked() -> Matrix:
    """One bar a million times as high, and days of ten million times the volume."""
    bars = _plain()
    bars[LENGTH // 2, :5] *= 1e6
    bars[LENGTH // 2 :: 200, 5] *= 1e7
    return bars


def _pegged() -> Matrix:
    """A price of ten thousand that moves by cents."""
    bars = _plain()
    close = 10_000 + np.round(np.random.default_rng(1).normal(0, 0.01, LENGTH), 2)
    bars[:, 0] = bars[:, 3] = bars[:, 4] = close
    bars[:, 1], bars[:, 2] = close + 0.01, close - 0.01
    return bars


SERIES: dict[str, Callable[[], Matrix]] = {
    "plain": _plain,
    "fallen": _fallen,
    "forgotten volume": _forgotten,
    "spiked": _spiked,
    "pegged": _pegged,
}


# --- the same in long double ------------------------------------------------------------------


def _windows(values: Long, window: int) -> Long:
    """(bars, window); NaN where there are fewer bars."""
    padded = np.concatenate([np.full(window - 1, np.nan, np.longdouble), values])
    return sliding_window_view(padded, window)


def _mean(values: Long, window: int) -> Long:
    return np.asarray(_windows(values, window).sum(axis=1) / np.longdouble(window))


def _sum(values: Long, window: int) -> Long:
    return np.asarray(_windows(values, window).sum(axis=1))


def _before(values: Long, ago: int = 1) -> Long:
    return np.concatenate([np.full(ago, np.nan, np.longdouble), values[:-ago]])


def _bands(f: Fields) -> dict[str, Long]:
    middle = _mean(f["close"], 20)
    distances = _windows(f["close"], 20) - middle[:, None]
    deviation = np.sqrt((distances**2).sum(axis=1) / 20)
    upper, lower = middle + 2 * deviation, middle - 2 * deviation
    return {
        "std_dev": deviation,
        "bb_upper": upper,
        "bb_middle": middle,
        "bb_lower": lower,
        "bb_bandwidth": 100 * (upper - lower) / middle,
        "bb_percent": (f["close"] - lower) / (upper - lower),
    }


def _channel(f: Fields) -> dict[str, Long]:
    high, low, close = f["high"], f["low"], f["close"]
    upper = _mean((4 * high - 2 * low + close) / 3, 20)
    middle = _mean((high + low + close) / 3, 20)
    lower = _mean((4 * low - 2 * high + close) / 3, 20)
    return {
        "keltner_upper": upper,
        "keltner_middle": middle,
        "keltner_lower": lower,
        "keltner_width": 100 * (upper - lower) / middle,
        "keltner_percent": (close - lower) / (upper - lower),
    }


def _means(f: Fields) -> dict[str, Long]:
    close, middle = f["close"], (f["high"] + f["low"]) / 2
    weights = np.arange(1, 21, dtype=np.longdouble)
    changes = [
        _mean(100 * (close / _before(close, ago) - 1), window)
        for ago, window in ((10, 10), (15, 10), (20, 10), (30, 15))
    ]
    kst = sum((n * each for n, each in enumerate(changes, 1)), np.zeros_like(close))
    highest = _windows(np.concatenate([np.repeat(close[:1], 13), close]), 14).max(axis=1)[13:]
    return {
        "sma_50": _mean(close, 50),
        "sma_200": _mean(close, 200),
        "wma_20": (_windows(close, 20) * weights).sum(axis=1) / weights.sum(),
        "awesome_oscillator": _mean(middle, 5) - _mean(middle, 34),
        "dpo_20": _before(close, 11) - _mean(close, 20),
        "kst": kst,
        "kst_signal": _mean(kst, 9),
        "ulcer_index": np.sqrt(_mean((100 * (close / highest - 1)) ** 2, 14)),
    }


def _ranges(f: Fields) -> dict[str, Long]:
    high, low, close = f["high"], f["low"], f["close"]
    before = _before(close)
    true_low, true_high = np.fmin(low, before), np.fmax(high, before)
    pressure, true_range = close - true_low, true_high - true_low
    # No close is before the first bar's.
    pressure[0] = true_range[0] = np.nan
    sums = [_sum(pressure, n) / _sum(true_range, n) for n in (7, 14, 28)]
    moved = _sum(true_range, 14)
    typical = (high + low + close) / 3
    mean = _mean(typical, 20)
    spread = np.abs(_windows(typical, 20) - mean[:, None]).sum(axis=1) / 20
    return {
        "ultimate_oscillator": 100 * (4 * sums[0] + 2 * sums[1] + sums[2]) / 7,
        "vortex_plus": _sum(np.abs(high - _before(low)), 14) / moved,
        "vortex_minus": _sum(np.abs(low - _before(high)), 14) / moved,
        "cci_20": (typical - mean) / (np.longdouble(0.015) * spread),
    }


def _volumes(f: Fields) -> dict[str, Long]:
    high, low, close, volume = f["high"], f["low"], f["close"], f["volume"]
    place = ((close - low) - (high - close)) / (high - low)
    typical = (high + low + close) / 3
    moved = (high - _before(high)) + (low - _before(low))
    ease = moved * (high - low) / (2 * volume) * 100_000_000
    up = typical > _before(typical)
    down = typical < _before(typical)
    worth = typical * volume
    zero = np.longdouble(0)
    gains, losses = _sum(np.where(up, worth, zero), 14), _sum(np.where(down, worth, zero), 14)
    with_changes = np.where(np.arange(LENGTH) > 0, (close / _before(close) - 1) * volume, zero)
    return {
        "cmf_20": _sum(place * volume, 20) / _sum(volume, 20),
        "ease_of_movement": ease,
        "ease_of_movement_14": _mean(ease, 14),
        "mfi_14": 100 * gains / (gains + losses),
        "vwap_14": _sum(worth, 14) / _sum(volume, 14),
        "adi": np.cumsum(place * volume),
        "vpt": np.cumsum(with_changes),
    }


@cache
def series(kind: str) -> tuple[Panel, dict[str, Matrix], dict[str, Long]]:
    """The bars, our columns, and those of long double."""
    bars = SERIES[kind]()
    whole = panel(bars, [LENGTH], rebased=False, whole=np.ones(1, dtype=np.bool_))
    fields = {
        name: getattr(whole, name)[:, 0].astype(np.longdouble)
        for name in ("high", "low", "close", "volume")
    }
    exact: dict[str, Long] = {}
    for of in (_bands, _channel, _means, _ranges, _volumes):
        exact |= of(fields)
    return whole, compute(whole, rows=LENGTH), exact


OUTPUTS = {output.column: output for row in REGISTRY for output in row.outputs}
COMPARED = sorted(series("plain")[2])
ADDED_UP = ("adi", "vpt")
WHERE_TA_IS_OFF = {
    "bb_upper", "bb_lower", "bb_bandwidth", "bb_percent", "cci_20", "cmf_20", "ease_of_movement_14",
}  # fmt: skip


def deviation(column: str, kind: str, values: Matrix) -> float:
    """How far the worst of our rows is off, relative to the value or to the column's scale there;
    what adds up, to the largest that it has been."""
    whole, ours, exact = series(kind)
    output, right = OUTPUTS[column], exact[column]
    sizes = np.maximum(np.abs(right), scale(output, np.ones(1)))
    if output.unit.text.startswith("price"):
        sizes = np.maximum(np.abs(right), np.abs(whole.close[:, 0]))
    if column in ADDED_UP:
        sizes = np.fmax.accumulate(sizes)
    have = np.isfinite(ours[column][:, 0])
    assert have.sum() == LENGTH - output.minimum_bars + 1
    off: float = np.max((np.abs(values - right) / sizes)[have])
    return off


@pytest.mark.parametrize("kind", SERIES)
@pytest.mark.parametrize("column", COMPARED)
def test_a_column_of_sums_is_what_long_double_gives(column: str, kind: str) -> None:
    _, ours, _ = series(kind)
    assert deviation(column, kind, ours[column][:, 0]) <= TOLERANCE


def test_the_docs_say_where_the_rounding_of_ta_is_larger() -> None:
    off = set()
    for kind in SERIES:
        whole, _, _ = series(kind)
        for column in COMPARED:
            if isinstance(OUTPUTS[column].reference, Ta):
                right = theirs(OUTPUTS[column], whole, 0, LENGTH)
                if deviation(column, kind, right) > TOLERANCE:
                    off.add(column)
    assert off == WHERE_TA_IS_OFF
    docs = (PROJECT / "docs" / "indicators.md").read_text()
    [row] = [line for line in docs.splitlines() if line.startswith("| rolling sums and deviations")]
    assert set(re.findall(r"`(\w+)`", row)) >= off


def test_a_running_sum_would_be_seen() -> None:
    _, _, exact = series("fallen")
    close = series("fallen")[0].close[:, 0]
    moved_along = (np.cumsum(close) - np.cumsum(np.concatenate([np.zeros(50), close[:-50]]))) / 50
    assert deviation("sma_50", "fallen", moved_along) > TOLERANCE
    assert deviation("sma_50", "fallen", exact["sma_50"].astype(np.float64)) <= TOLERANCE
