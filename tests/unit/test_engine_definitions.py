"""The last row of every column, against computations that share nothing with the kernels.

The references are plain Python and numpy loops over the whole series, written from the definitions.
"""

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from engine_bars import Bar

from screener_analyzer import engine, registry
from screener_analyzer.panel import panel
from screener_analyzer.registry import LONGEST_HISTORY, Indicator

DAY = dt.date(2020, 1, 1)
SEEDS = (1, 2, 3)
LENGTH = 400

COLUMNS = registry.COLUMNS[:31]
"""The later ones are compared with `ta` and with pandas elsewhere."""
REGISTRY = tuple(
    row for row in registry.REGISTRY if {output.column for output in row.outputs} <= set(COLUMNS)
)

Floats = np.ndarray


def compute(
    bars: Sequence[Bar],
    indicators: Iterable[Indicator] = REGISTRY,
    split_factors: Floats | None = None,
) -> dict[str, float | None]:
    """The last row of one asset alone."""
    if not bars:
        return {output.column: None for indicator in indicators for output in indicator.outputs}
    table = np.array([bar[1:] for bar in bars], dtype=float).reshape(len(bars), 6)
    alone = panel(table, [len(bars)], split_factors=split_factors)
    return {
        column: None if math.isnan(values[0, 0]) else float(values[0, 0])
        for column, values in engine.compute(alone, indicators).items()
    }


def differences(
    ours: Mapping[str, float | None], right: Mapping[str, float | None]
) -> dict[str, tuple[float | None, float | None]]:
    """NULL equals only NULL."""
    return {
        column: (ours[column], value)
        for column, value in right.items()
        if not (
            ours[column] is value
            or (
                None not in (ours[column], value)
                and ours[column] == pytest.approx(value, rel=1e-9, abs=1e-9)
            )
        )
    }


@cache
def random_bars(seed: int, length: int = LENGTH) -> tuple[Bar, ...]:
    """A random walk with a dividend and a split, prices rounded to cents."""
    random = np.random.default_rng(seed)
    close = 80 * np.exp(np.cumsum(random.normal(0.0003, 0.02, length)))
    open_ = close * np.exp(random.normal(0, 0.01, length))
    high = np.maximum(open_, close) * np.exp(np.abs(random.normal(0, 0.01, length)))
    low = np.minimum(open_, close) * np.exp(-np.abs(random.normal(0, 0.01, length)))
    prices = np.round(np.stack([open_, high, low, close]), 2)
    factor = np.where(np.arange(length) < length // 2, 0.25, 1.0)
    factor[: length // 3] *= 0.985
    volume = random.integers(1_000, 2_000_000, length)
    return tuple(
        Bar(
            DAY + dt.timedelta(day), *prices[:, day], prices[3, day] * factor[day], int(volume[day])
        )
        for day in range(length)
    )


def flat_bars(length: int, price: float = 12.34, volume: int = 0) -> list[Bar]:
    return [
        Bar(DAY + dt.timedelta(day), price, price, price, price, price, volume)
        for day in range(length)
    ]


# --- references -------------------------------------------------------------------------------


def exponential(values: Floats, alpha: float) -> list[float]:
    out = [float(values[0])]
    for value in values[1:]:
        out.append(out[-1] * (1 - alpha) + alpha * float(value))
    return out


def rsi_series(close: Floats) -> list[float]:
    up = down = 0.0
    out = [math.nan]
    for change in np.diff(close):
        up = (up * 13 + max(change, 0.0)) / 14
        down = (down * 13 + max(-change, 0.0)) / 14
        out.append(100 * up / (up + down) if up + down else math.nan)
    return out


def stochastic_k(high: Floats, low: Floats, close: Floats, at: int) -> float:
    top, bottom = max(high[at - 13 : at + 1]), min(low[at - 13 : at + 1])
    return 100 * (close[at] - bottom) / (top - bottom)


def true_ranges(high: Floats, low: Floats, close: Floats) -> list[float]:
    return [float(high[0] - low[0])] + [
        float(max(high[i], close[i - 1]) - min(low[i], close[i - 1])) for i in range(1, len(close))
    ]


def wilder_directions(high: Floats, low: Floats, close: Floats) -> tuple[float, float, float]:
    """+DI, -DI, ADX as in "New Concepts in Technical Trading Systems"."""
    ranges = true_ranges(high, low, close)
    plus, minus = [0.0], [0.0]
    for i in range(1, len(close)):
        up, down = high[i] - high[i - 1], low[i - 1] - low[i]
        plus.append(float(up) if up > down and up > 0 else 0.0)
        minus.append(float(down) if down > up and down > 0 else 0.0)
    sums = [sum(series[1:15]) for series in (ranges, plus, minus)]
    indexes = []
    for i in range(14, len(close)):
        if i > 14:
            sums = [
                total - total / 14 + series[i]
                for total, series in zip(sums, (ranges, plus, minus), strict=True)
            ]
        plus_di, minus_di = 100 * sums[1] / sums[0], 100 * sums[2] / sums[0]
        indexes.append(100 * abs(plus_di - minus_di) / (plus_di + minus_di))
    average = sum(indexes[:14]) / 14
    for index in indexes[14:]:
        average = (average * 13 + index) / 14
    return plus_di, minus_di, average


def wilder_sar(high: Floats, low: Floats, close: Floats) -> float:
    """Rising and falling are one rule in mirrored prices; the first trend is up, from the close."""
    sign, sar, step = 1, float(close[1]), 0.02
    extreme = {1: float(high[0]), -1: -float(low[0])}
    side = {1: (low, high), -1: (-high, -low)}
    for i in range(2, len(close)):
        against, along = side[sign]
        here = sign * sar
        here += step * (extreme[sign] - here)
        if against[i] < here:
            here = extreme[sign]
            sign, step = -sign, 0.02
            extreme[sign] = float(side[sign][1][i])
            sar = -sign * here
            continue
        if along[i] > extreme[sign]:
            extreme[sign] = float(along[i])
            step = min(step + 0.02, 0.2)
        if against[i - 2] < here:
            here = float(against[i - 2])
        elif against[i - 1] < here:
            here = float(against[i - 1])
        sar = sign * here
    return sar


def reference(bars: tuple[Bar, ...]) -> dict[str, float | None]:
    table = np.array([bar[1:] for bar in bars], dtype=float)
    factor = table[:, 4] / table[:, 3]
    high, low, close = table[:, 1] * factor, table[:, 2] * factor, table[:, 3] * factor
    volume = table[:, 5]
    last = len(bars) - 1
    line = [
        fast - slow
        for fast, slow in zip(exponential(close, 2 / 13), exponential(close, 2 / 27), strict=True)
    ]
    # ta's signal line begins where the slow mean has its 26 closes.
    signal = exponential(np.array(line[25:]), 2 / 10)[-1]
    relative = np.array(rsi_series(close))
    typical = (high + low + close) / 3
    deviation = np.mean(np.abs(typical[-20:] - typical[-20:].mean()))
    spread = math.sqrt(sum((value - close[-20:].mean()) ** 2 for value in close[-20:]) / 20)
    middle = sum(close[-20:]) / 20
    ranges = true_ranges(high, low, close)
    atr = sum(ranges[:14]) / 14
    for value in ranges[14:]:
        atr = (atr * 13 + value) / 14
    plus, minus, adx = wilder_directions(high, low, close)
    returns = [close[i] / close[i - 1] - 1 for i in range(last - 29, last + 1)]
    return {
        "sma_50": sum(close[-50:]) / 50,
        "sma_200": sum(close[-200:]) / 200,
        "ema_12": exponential(close, 2 / 13)[-1],
        "ema_26": exponential(close, 2 / 27)[-1],
        "wma_20": sum(weight * close[-21 + weight] for weight in range(1, 21)) / 210,
        "rsi_14": float(relative[-1]),
        "stoch_k": stochastic_k(high, low, close, last),
        "stoch_d": sum(stochastic_k(high, low, close, last - i) for i in range(3)) / 3,
        "stoch_rsi": sum(
            (relative[at] - min(relative[at - 13 : at + 1]))
            / (max(relative[at - 13 : at + 1]) - min(relative[at - 13 : at + 1]))
            for at in (last - 2, last - 1, last)
        )
        / 3,
        "cci_20": (typical[-1] - typical[-20:].mean()) / (0.015 * deviation),
        "macd": line[-1],
        "macd_signal": signal,
        "macd_histogram": line[-1] - signal,
        "dmi_plus": plus,
        "dmi_minus": minus,
        "adx": adx,
        "atr_14": atr,
        "volatility": np.std(returns) * math.sqrt(30 / 29) * math.sqrt(252) * 100,
        "std_dev": spread,
        "bb_upper": middle + 2 * spread,
        "bb_middle": middle,
        "bb_lower": middle - 2 * spread,
        "bb_bandwidth": 4 * spread / middle * 100,
        "sar": wilder_sar(high, low, close),
        "beta": None,
        "slope": float(np.polyfit(np.arange(20), close[-20:], 1)[0]),
        "avg_volume_30": sum(volume[-30:]) / 30,
        "avg_volume_90": sum(volume[-90:]) / 90,
        "week_52_high": max(table[-252:, 1]),
        "week_52_low": min(table[-252:, 2]),
        "current_price": table[-1, 3],
    }


@cache
def computed_and_reference(seed: int) -> tuple[dict[str, float | None], dict[str, float | None]]:
    bars = random_bars(seed)
    return compute(bars), reference(bars)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_column_equals_its_definition(column: str, seed: int) -> None:
    computed, expected = (values[column] for values in computed_and_reference(seed))
    if expected is None:
        assert computed is None
    else:
        assert computed == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_sar_of_mirrored_trends_is_right_through_many_reversals() -> None:
    day = np.arange(300)
    close = 100 + 20 * np.sin(day / 7)
    bars = tuple(
        Bar(DAY + dt.timedelta(int(i)), c, c + 1, c - 1, c, c, 1)
        for i, c in zip(day, close, strict=True)
    )
    for length in range(3, 300, 11):
        assert only("sar", bars[:length]) == pytest.approx(
            wilder_sar(close[:length] + 1, close[:length] - 1, close[:length])
        )


# --- how much history -------------------------------------------------------------------------


def row(column: str) -> Indicator:
    return next(
        indicator
        for indicator in REGISTRY
        if column in {output.column for output in indicator.outputs}
    )


def only(column: str, bars: tuple[Bar, ...] | list[Bar]) -> float | None:
    return compute(bars, [row(column)])[column]


MINIMUM = {
    "sma_50": 50, "sma_200": 200, "ema_12": 12, "ema_26": 26, "wma_20": 20, "rsi_14": 14,
    "stoch_k": 14, "stoch_d": 16, "stoch_rsi": 29, "cci_20": 20, "macd": 26, "macd_signal": 34,
    "macd_histogram": 34, "dmi_plus": 16, "dmi_minus": 16, "adx": 28, "atr_14": 14,
    "volatility": 31, "std_dev": 20, "bb_upper": 20, "bb_middle": 20, "bb_lower": 20,
    "bb_bandwidth": 20, "sar": 3, "slope": 20, "avg_volume_30": 30, "avg_volume_90": 90,
    "week_52_high": 252, "week_52_low": 252, "current_price": 1,
}  # fmt: skip


@pytest.mark.parametrize("length", [1, 2, 3, 13, 14, 15, 27, 28, 33, 34, 199, 200, 251, 252])
def test_too_little_history_is_null_and_enough_is_not(length: int) -> None:
    values = compute(random_bars(4)[:length])
    assert list(values) == list(COLUMNS)
    assert {column for column, value in values.items() if value is not None} == {
        column for column, minimum in MINIMUM.items() if length >= minimum
    }


@pytest.mark.parametrize("column", MINIMUM)
def test_a_column_begins_at_its_minimum_of_bars(column: str) -> None:
    bars = random_bars(5)
    assert only(column, bars[: MINIMUM[column] - 1]) is None
    value = only(column, bars[: MINIMUM[column]])
    assert value is not None
    assert value != 0.0


def test_a_window_is_untouched_by_what_went_before() -> None:
    wild = [bar._replace(high=9e9, volume=10**12) for bar in random_bars(6)[:100]]
    calm = list(random_bars(6)[:100])
    after = list(random_bars(6)[100:])
    windows = [
        indicator
        for indicator in REGISTRY
        if all(0 < output.history <= 253 for output in indicator.outputs)
        and not {"ema_12"} & {output.column for output in indicator.outputs}
    ]
    assert compute(wild + after, windows) == compute(calm + after, windows)


# --- where there is no answer -----------------------------------------------------------------


def test_a_flat_asset_has_averages_and_no_oscillators() -> None:
    values = compute(flat_bars(300))
    undefined = {
        "rsi_14", "stoch_k", "stoch_d", "stoch_rsi", "cci_20", "dmi_plus", "dmi_minus", "adx",
        "beta",
    }  # fmt: skip
    assert {column for column, value in values.items() if value is None} == undefined
    zero = {
        "macd", "macd_signal", "macd_histogram", "atr_14", "volatility", "std_dev",
        "bb_bandwidth", "slope", "avg_volume_30", "avg_volume_90",
    }  # fmt: skip
    assert {column: values[column] for column in zero} == dict.fromkeys(zero, 0.0)
    for column in set(COLUMNS) - undefined - zero:
        assert values[column] == pytest.approx(12.34)


def test_a_flat_month_after_trading_has_no_position_in_its_range() -> None:
    traded = list(random_bars(7)[:100])
    halted = [
        bar._replace(date=traded[-1].date + dt.timedelta(1 + day))
        for day, bar in enumerate(flat_bars(30, price=traded[-1].close))
    ]
    values = compute([bar._replace(adj_close=bar.close) for bar in traded] + halted)
    assert values["stoch_k"] is None
    assert values["cci_20"] is None
    assert values["std_dev"] == 0.0
    assert values["volatility"] == 0.0
    assert values["rsi_14"] is not None


def test_an_rsi_of_only_gains_is_100_and_its_stochastic_undefined() -> None:
    rising = [
        Bar(DAY + dt.timedelta(day), 10 + day, 11 + day, 9 + day, 10.0 + day, 10.0 + day, 5)
        for day in range(60)
    ]
    values = compute(rising)
    assert values["rsi_14"] == 100.0
    assert values["stoch_rsi"] is None
    assert values["slope"] == pytest.approx(1.0)


def test_a_stochastic_rsi_waits_until_every_rsi_in_its_reach_is_defined() -> None:
    start = flat_bars(40, price=80.0)
    moves = [
        bar._replace(date=DAY + dt.timedelta(40 + day), adj_close=bar.close)
        for day, bar in enumerate(random_bars(8)[:16])
    ]
    assert only("stoch_rsi", start + moves[:15]) is None
    assert only("stoch_rsi", start + moves) is not None


def test_without_volume_the_average_is_0_and_nothing_else_suffers() -> None:
    silent = [bar._replace(volume=0) for bar in random_bars(9)]
    values = compute(silent)
    assert values["avg_volume_30"] == values["avg_volume_90"] == 0.0
    assert {column for column, value in values.items() if value is None} == {"beta"}


def test_a_nan_leaves_null_where_it_is_in_reach_and_nowhere_else() -> None:
    bars = list(random_bars(10))
    bars[250] = bars[250]._replace(close=math.nan, high=math.nan)
    values = compute(bars)
    building_on_the_bar_before = {
        "ema_12", "ema_26", "rsi_14", "stoch_rsi", "macd", "macd_signal", "macd_histogram",
        "dmi_plus", "dmi_minus", "adx", "atr_14", "sar",
    }  # fmt: skip
    # The low of that day is known, and what is adjusted for splits only needs no close.
    reached = {"sma_200", "week_52_high", "beta"}
    assert {column for column, value in values.items() if value is None} == (
        building_on_the_bar_before | reached
    )
    untouched = compute(random_bars(10))
    assert values["sma_50"] == untouched["sma_50"]


def test_a_price_of_0_gives_null_and_no_error() -> None:
    bars = list(random_bars(11)[:60])
    bars[-1] = Bar(bars[-1].date, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
    values = compute(bars)
    assert values["sma_50"] is None
    assert values["current_price"] == 0.0


def test_no_value_is_ever_nan_or_infinite() -> None:
    for seed in range(12, 16):
        for length in (5, 30, 120):
            values = compute(random_bars(seed)[:length])
            assert all(value is None or math.isfinite(value) for value in values.values())


@pytest.mark.parametrize("length", [40, 400])
def test_a_split_with_its_adjusted_closes_changes_no_price_indicator(length: int) -> None:
    whole = [bar._replace(adj_close=bar.close) for bar in random_bars(17)[-length:]]
    split = [
        bar._replace(open=bar.open * 4, high=bar.high * 4, low=bar.low * 4, close=bar.close * 4)
        if day < length // 2
        else bar
        for day, bar in enumerate(whole)
    ]
    factors = np.where(np.arange(len(split)) < length // 2, 0.25, 1.0)
    assert differences(compute(split, split_factors=factors), compute(whole)) == {}


def test_a_split_without_adjusted_closes_would_show() -> None:
    whole = [bar._replace(adj_close=bar.close) for bar in random_bars(17)]
    unadjusted = [
        Bar(bar.date, *(price * 4 for price in bar[1:6]), bar.volume) if day < 395 else bar
        for day, bar in enumerate(whole)
    ]
    assert differences(compute(unadjusted), compute(whole))


# --- history and parameters --------------------------------------------------------------------


def test_the_last_bars_that_are_read_are_enough() -> None:
    bars = random_bars(19, 1_500)
    assert differences(compute(bars[-LONGEST_HISTORY:]), compute(bars)) == {}


def test_a_kernel_with_other_parameters_is_a_row_with_other_parameters() -> None:
    bars = random_bars(20)
    nine = replace(row("wma_20"), parameters={"window": 9})
    close = np.array([bar.adj_close for bar in bars])[-9:]
    expected = float(np.dot(close, np.arange(1, 10)) / 45)
    assert compute(bars, [nine])["wma_20"] == pytest.approx(expected)
