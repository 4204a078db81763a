"""What the engine promises beyond equality with `ta`: no look-ahead, NULL, carried state, the
columns that `ta` does not have."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from screener_analyzer import indicators
from screener_analyzer.engine import compute, state
from screener_analyzer.panel import Matrix, Panel, State, benchmark_closes, panel
from screener_analyzer.registry import COLUMNS, LONGEST_HISTORY, REGISTRY

CUMULATIVE = [output.column for row in REGISTRY for output in row.outputs if output.history == 0]
Days = np.ndarray


def days_of(length: int, end: dt.date = dt.date(2024, 5, 31)) -> Days:
    days = pd.bdate_range(end=end, periods=length)
    return days.to_numpy().astype("datetime64[D]").astype(np.int32)


def bars_of(seed: int, length: int) -> Matrix:
    """Raw prices, all factors 1."""
    random = np.random.default_rng(seed)
    close = 80 * np.exp(np.cumsum(random.normal(0.0003, 0.02, length)))
    open_ = close * np.exp(random.normal(0, 0.01, length))
    high = np.maximum(open_, close) * np.exp(np.abs(random.normal(0, 0.01, length)))
    low = np.minimum(open_, close) * np.exp(-np.abs(random.normal(0, 0.01, length)))
    volume = random.integers(1_000, 2_000_000, length).astype(float)
    return np.stack([open_, high, low, close, close, volume], axis=1)


def alone(bars: Matrix, **more: object) -> Panel:
    whole = np.ones(1, dtype=np.bool_)
    more.setdefault("dates", days_of(len(bars)))
    return panel(bars, [len(bars)], whole=whole, **more)  # type: ignore[arg-type]


def last(computed: dict[str, Matrix]) -> dict[str, float]:
    return {column: float(values[-1, 0]) for column, values in computed.items()}


def assert_equal(ours: dict[str, float], right: dict[str, float], rel: float = 1e-9) -> None:
    for column, value in right.items():
        assert ours[column] == pytest.approx(value, rel=rel, abs=1e-9, nan_ok=True), column


# --- columns that ta does not have ------------------------------------------------------------


def test_the_other_columns_are_their_definitions() -> None:
    bars = bars_of(1, 600)
    theirs = bars_of(2, 600)[:, 3]
    dates = days_of(600)
    close = pd.Series(bars[:, 3], index=pd.to_datetime(dates, unit="D"))
    market = pd.Series(theirs, index=close.index)
    volume = pd.Series(bars[:, 5], index=close.index)
    now = last(compute(alone(bars, dates=dates, benchmark=theirs)))
    assert now["return_5d"] == pytest.approx(100 * (close.iloc[-1] / close.iloc[-6] - 1))
    end = close.index[-1]
    for months in (1, 3, 6, 12):
        day = end - pd.DateOffset(months=months)
        change = close.iloc[-1] / close.asof(day)
        assert now[f"return_{months}m"] == pytest.approx(100 * (change - 1))
        assert now[f"price_return_{months}m"] == pytest.approx(100 * (change - 1))
        if months > 1:
            against = market.iloc[-1] / market.asof(day)
            expected = 100 * (change / against - 1)
            assert now[f"relative_strength_{months}m"] == pytest.approx(expected)
    assert now["return_ytd"] == pytest.approx(100 * (close.iloc[-1] / close[:"2023"].iloc[-1] - 1))
    high, low = bars[-252:, 1].max(), bars[-252:, 2].min()
    assert now["week_52_high_distance"] == pytest.approx(100 * (close.iloc[-1] / high - 1))
    assert now["week_52_low_distance"] == pytest.approx(100 * (close.iloc[-1] / low - 1))
    year = close.iloc[-252:]
    assert now["drawdown"] == pytest.approx(100 * (close.iloc[-1] / year.max() - 1))
    assert now["max_drawdown"] == pytest.approx(100 * (year / year.cummax() - 1).min())
    assert now["gap"] == pytest.approx(100 * (bars[-1, 0] / bars[-2, 3] - 1))
    worth = close * volume
    assert now["traded_value_30"] == pytest.approx(worth.iloc[-30:].mean())
    assert now["relative_volume"] == pytest.approx(volume.iloc[-1] / volume.iloc[-30:].mean())
    size = (close.pct_change().abs() * 100 * 1e6 / worth).iloc[-30:].mean()
    assert now["illiquidity_30"] == pytest.approx(size)
    assert now["silent_bars_30"] == now["unchanged_bars"] == 0
    assert now["days_since_previous_bar"] == 1
    ours, benchmark = close.pct_change().iloc[-252:], market.pct_change().iloc[-252:]
    assert now["beta"] == pytest.approx(np.polyfit(benchmark, ours, 1)[0])


def test_crossings_count_bars_since() -> None:
    bars = bars_of(3, 2_500)
    rows = [row for row in REGISTRY if row.group in ("trend", "momentum")]
    computed = compute(alone(bars), rows, rows=len(bars))
    found = {name: values[:, 0] for name, values in computed.items()}
    pairs = {
        "golden_cross_bars": found["sma_50"] - found["sma_200"],
        "death_cross_bars": found["sma_200"] - found["sma_50"],
        "macd_rise_bars": found["macd"] - found["macd_signal"],
        "macd_fall_bars": found["macd_signal"] - found["macd"],
        "rsi_rise_bars": found["rsi_14"] - 30,
        "rsi_fall_bars": 70 - found["rsi_14"],
    }
    seen = set()
    for column, above in pairs.items():
        for row in range(300, len(bars)):
            ago = next(
                (n for n in range(20) if above[row - n] > 0 and above[row - n - 1] <= 0), None
            )
            ours = found[column][row]
            assert (np.isnan(ours) and ago is None) or ours == ago, (column, row)
            if ago is not None:
                seen.add(column)
    assert seen == set(pairs)


def test_beta_uses_sessions_that_both_have_and_wants_120() -> None:
    bars, theirs = bars_of(4, 400), bars_of(5, 400)[:, 3]
    dates = days_of(400)
    gaps = np.ones(400, dtype=bool)
    gaps[[150, 151, 300, 399]] = False
    on_days = benchmark_closes(dates, dates[gaps], theirs[gaps])
    computed = compute(alone(bars, dates=dates, benchmark=on_days), rows=3)["beta"][:, 0]
    for row, end in ((1, 399), (2, 399)):
        kept = np.flatnonzero(gaps[:end])[-253:]
        returns = [x[kept][1:] / x[kept][:-1] - 1 for x in (theirs, bars[:, 3])]
        assert computed[row] == pytest.approx(np.polyfit(*returns, 1)[0])
    for length, known in ((120, False), (121, True)):
        few = alone(bars[-length:], dates=dates[-length:], benchmark=theirs[-length:])
        assert np.isfinite(compute(few)["beta"][0, 0]) == known
    assert np.isnan(compute(alone(bars))["beta"][0, 0])


def test_traded_value_is_in_pounds_where_prices_are_in_pence() -> None:
    bars = bars_of(6, 60)
    pence = compute(alone(bars, minor_units=np.array([100.0])))["traded_value_30"][0, 0]
    assert pence == pytest.approx(compute(alone(bars))["traded_value_30"][0, 0] / 100)


# --- adjusting, no look-ahead -----------------------------------------------------------------


def with_actions(length: int) -> tuple[Matrix, Matrix, Matrix]:
    """(bars as quoted, by day the factor of dividends paid then, of splits then)."""
    bars = bars_of(7, length)
    dividends, splits = np.ones(length), np.ones(length)
    dividends[[length // 3, 2 * length // 3]] = 0.985, 0.97
    splits[length // 2] = 0.25
    quoted = bars.copy()
    # Before a split of 4:1 four times the price was quoted, and a quarter of the shares traded.
    quoted[: length // 2, :4] *= 4
    quoted[: length // 2, 5] /= 4
    return quoted, dividends, splits


def known_on(day: int, quoted: Matrix, dividends: Matrix, splits: Matrix) -> tuple[Matrix, Matrix]:
    """What the vendor had on that day: bars up to it, and their factors for splits."""
    later_splits = np.array([np.prod(splits[n + 1 : day + 1]) for n in range(day + 1)])
    later = later_splits * [np.prod(dividends[n + 1 : day + 1]) for n in range(day + 1)]
    bars = quoted[: day + 1].copy()
    bars[:, 4] = bars[:, 3] * later
    bars[:, 5] /= later_splits
    return bars, later_splits


def test_a_row_of_a_day_is_what_was_computed_on_that_day() -> None:
    quoted, dividends, splits = with_actions(420)
    bars, factors = known_on(419, quoted, dividends, splits)
    dates = days_of(420)
    theirs = bars_of(8, 420)[:, 3]
    history = compute(alone(bars, dates=dates, split_factors=factors, benchmark=theirs), rows=420)
    actions = {day + more for day in (140, 210, 280) for more in (-1, 0, 1)}
    known: set[str] = set()
    for day in sorted(actions | set(range(0, 420, 19)) | {419}):
        then, factors_then = known_on(day, quoted, dividends, splits)
        more = {"dates": dates[: day + 1], "benchmark": theirs[: day + 1]}
        on_that_day = last(compute(alone(then, split_factors=factors_then, **more)))
        as_of = last(compute(alone(bars[: day + 1], split_factors=factors[: day + 1], **more)))
        assert_equal(as_of, on_that_day)
        assert_equal({name: float(history[name][day, 0]) for name in history}, on_that_day)
        known |= {column for column, value in on_that_day.items() if np.isfinite(value)}
    # No mean of 50 closes fell below that of 200 lately.
    assert known >= set(COLUMNS) - {"death_cross_bars"}


def test_adjusted_for_splits_alone_or_for_nothing() -> None:
    quoted, dividends, splits = with_actions(300)
    bars, factors = known_on(299, quoted, dividends, splits)
    by_splits = compute(alone(bars, split_factors=factors, adjusted="splits"))
    none = compute(alone(bars, split_factors=factors, adjusted="none"))
    closes = quoted[:, 3] * factors
    assert by_splits["sma_200"][0, 0] == pytest.approx(closes[-200:].mean())
    assert none["sma_200"][0, 0] == pytest.approx(quoted[-200:, 3].mean())
    assert none["avg_volume_90"][0, 0] == pytest.approx(quoted[-90:, 5].mean())
    assert by_splits["week_52_high"][0, 0] == pytest.approx((quoted[:, 1] * factors)[-252:].max())
    with pytest.raises(ValueError, match="adjusted"):
        alone(bars, adjusted="some")


# --- NULL -------------------------------------------------------------------------------------


def test_one_bar_has_what_one_bar_gives() -> None:
    now = last(compute(alone(bars_of(9, 1))))
    assert {column for column, value in now.items() if np.isfinite(value)} == {
        "current_price", "obv", "adi", "nvi", "cumulative_return", "unchanged_bars",
    }  # fmt: skip


@pytest.mark.parametrize("length", [*range(2, 26), 201, 210, 253])
def test_a_young_asset_alone_is_what_it_is_beside_old_ones(length: int) -> None:
    bars, old = bars_of(9, length), bars_of(10, 300)
    dates = np.concatenate([days_of(length), days_of(300)])
    theirs = np.concatenate([bars_of(11, length)[:, 3], bars_of(12, 300)[:, 3]])
    both = panel(np.concatenate([bars, old]), [length, 300], dates=dates, benchmark=theirs)
    beside = compute(both)
    by_itself = compute(alone(bars, benchmark=theirs[:length]), rows=length)
    for column, values in by_itself.items():
        assert np.array_equal(beside[column][0, 0], values[-1, 0], equal_nan=True), column


def test_without_volume_nothing_that_divides_by_it_has_a_value() -> None:
    bars = bars_of(10, 300)
    bars[:, 5] = 0
    now = last(compute(alone(bars, benchmark=bars_of(11, 300)[:, 3])))
    crossings = {column for column in COLUMNS if column.endswith("_bars")}
    assert {column for column, value in now.items() if np.isnan(value)} - crossings == {
        "pvo", "pvo_signal", "pvo_histogram", "cmf_20", "ease_of_movement", "ease_of_movement_14",
        "mfi_14", "vwap_14", "relative_volume", "illiquidity_30",
    }  # fmt: skip


def test_a_halted_month_has_no_oscillators_and_is_seen() -> None:
    bars = bars_of(12, 400)
    bars[-30:, :5] = bars[-31, 3]
    bars[-30:, 5] = 0
    now = last(compute(alone(bars)))
    for column in ("stoch_k", "williams_r", "cci_20", "bb_percent", "donchian_percent", "mfi_14",
                   "cmf_20", "vwap_14", "ultimate_oscillator", "vortex_plus"):  # fmt: skip
        assert np.isnan(now[column]), column
    assert now["unchanged_bars"] == 30
    assert now["silent_bars_30"] == 30
    assert now["return_1d"] == now["std_dev"] == 0


def test_a_delisted_asset_beside_living_ones_is_of_its_own_last_day() -> None:
    gone, living = bars_of(22, 400), bars_of(23, 500)
    days = days_of(400, dt.date(2022, 3, 9)), days_of(500)
    theirs = bars_of(24, 400)[:, 3], bars_of(25, 500)[:, 3]
    both = panel(
        np.concatenate([gone, living]), [400, 500], dates=np.concatenate(days),
        benchmark=np.concatenate(theirs),
    )  # fmt: skip
    beside = compute(both)
    by_itself = compute(alone(gone, dates=days[0], benchmark=theirs[0]))
    for column, values in by_itself.items():
        assert np.array_equal(beside[column][0, 0], values[0, 0], equal_nan=True), column
    # The year begins with the last close of 2021, the month with that of 9 February.
    bases = (dt.date(2021, 12, 31), "return_ytd"), (dt.date(2022, 2, 9), "return_1m")
    for day, column in bases:
        base = gone[np.flatnonzero(days[0] == (day - dt.date(1970, 1, 1)).days)[0], 3]
        assert beside[column][0, 0] == pytest.approx(100 * (gone[-1, 3] / base - 1)), column


def test_a_month_without_bars_leaves_the_bars_that_there_are() -> None:
    bars, days = bars_of(26, 300), days_of(300)
    halted = days.copy()
    halted[:-5] -= 30  # no session for a month, then five
    now = last(compute(alone(bars, dates=halted)))
    usual = last(compute(alone(bars, dates=days)))
    by_calendar = {column for column in COLUMNS if column.endswith(("m", "ytd"))}
    for column, value in usual.items():
        if column not in by_calendar:
            assert now[column] == pytest.approx(value, nan_ok=True), column
    # On the day a month ago there was no bar: the last before it counts.
    assert now["return_1m"] == pytest.approx(100 * (bars[-1, 3] / bars[-6, 3] - 1))
    first = last(compute(alone(bars[:-4], dates=halted[:-4])))
    assert first["days_since_previous_bar"] > 30


def test_a_hole_is_never_computed_across() -> None:
    bars = bars_of(13, 500)
    whole = last(compute(alone(bars)))
    bars[300] = np.nan
    now = last(compute(alone(bars)))
    for row in REGISTRY:
        for output in row.outputs:
            value = now[output.column]
            if 0 < output.history < 200:
                assert value == pytest.approx(whole[output.column], nan_ok=True) or (
                    np.isnan(value)
                ), output.column
    for column in ("sma_50", "bb_upper", "stoch_k", "cmf_20", "kst", "ichimoku_b", "return_1m"):
        assert np.isfinite(now[column]), column
    for column in ("ema_12", "tsi", "kama_10", "ppo", "trix_15", "stc", "force_index_13", "adx",
                   "mass_index", "obv", "vpt", "adi", "nvi", "sma_200", "drawdown"):  # fmt: skip
        assert np.isnan(now[column]), column


def test_of_a_last_bar_without_values_nothing_is_known() -> None:
    bars = bars_of(14, 500)
    bars[-1] = np.nan
    now = last(compute(alone(bars)))
    assert {column for column, value in now.items() if np.isfinite(value)} == {
        "days_since_previous_bar"
    }
    flat = np.tile([10.0, 10, 10, 10, 10, 100], (500, 1))
    flat[-4] = np.nan
    assert np.isnan(last(compute(alone(flat)))["unchanged_bars"])
    flat[-4, :] = [11.0, 11, 11, 11, 11, 100]
    assert last(compute(alone(flat)))["unchanged_bars"] == 2


# --- history and state ------------------------------------------------------------------------


def test_the_longest_history_gives_what_the_whole_gives() -> None:
    for seed in (14, 15, 16):
        bars = bars_of(seed, 1_500)
        whole = last(compute(alone(bars)))
        recent = bars[-LONGEST_HISTORY:]
        read = last(compute(panel(recent, [len(recent)], dates=days_of(len(recent)))))
        for column in CUMULATIVE:
            assert np.isnan(read.pop(column)), "a beginning that is not in the panel is not known"
        scale = 100.0
        for column, value in read.items():
            assert value == pytest.approx(whole[column], rel=1e-9, abs=1e-9 * scale, nan_ok=True), (
                column
            )


def test_carried_on_day_by_day_is_a_full_pass_bit_for_bit() -> None:
    bars = np.concatenate([bars_of(17, 900), bars_of(18, 700)])
    rows = [row for row in REGISTRY if row.cumulative]

    def cut(end: int) -> tuple[Matrix, list[int]]:
        first, second = bars[:900][: 900 - 700 + end], bars[900:][:end]
        return np.concatenate([first, second]), [len(first), len(second)]

    everything, lengths = cut(700)
    full = compute(panel(everything, lengths, whole=np.ones(2, dtype=np.bool_)), rows)
    begun, lengths = cut(650)
    carried = state(panel(begun, lengths, whole=np.ones(2, dtype=np.bool_)))
    for end, new in ((651, 1), (660, 9), (660, 0), (700, 40)):
        some, lengths = cut(end)
        firsts = [some[: lengths[0]][-300:], some[lengths[0] :][-300:]]
        given = State(carried.values, np.full(2, new))
        recent = panel(np.concatenate(firsts), [300, 300], state=given)
        computed, carried = compute(recent, rows), state(recent)
    for column in CUMULATIVE:
        assert np.array_equal(computed[column], full[column]), column


# --- pandas -----------------------------------------------------------------------------------


def frame_of(seed: int, length: int) -> pd.DataFrame:
    return pd.DataFrame(
        bars_of(seed, length),
        index=pd.bdate_range(end="2024-05-31", periods=length, name="date"),
        columns=["open", "high", "low", "close", "adjusted_close", "volume"],
    )


def test_one_frame_has_all_rows_and_the_engines_numbers() -> None:
    frame = frame_of(19, 320)
    before = frame.copy()
    found = indicators(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert list(found.columns) == list(COLUMNS)
    assert found.index.equals(frame.index)
    assert_equal(found.iloc[-1].to_dict(), last(compute(alone(frame.to_numpy()))))
    assert np.isnan(found["sma_50"].iloc[48]) and np.isfinite(found["sma_50"].iloc[49])
    without = indicators(frame.drop(columns="adjusted_close"), ["rsi_14", "sma_50"])
    pd.testing.assert_frame_equal(without, found[["rsi_14", "sma_50"]])


def test_long_and_wide_frames_have_each_assets_numbers() -> None:
    frames = {"B.US": frame_of(20, 300), "A.US": frame_of(21, 120)}
    names = ["macd", "sma_50", "obv"]
    right = {ticker: indicators(frame, names) for ticker, frame in frames.items()}
    long = pd.concat(
        [frame.reset_index().assign(ticker=ticker) for ticker, frame in frames.items()]
    ).sort_values("date", kind="stable", ignore_index=True)
    found = indicators(long, names)
    assert list(found.columns) == ["ticker", "date", *names]
    assert found.index.equals(long.index)
    for ticker, expected in right.items():
        mine = found[found["ticker"] == ticker].set_index("date")[names]
        pd.testing.assert_frame_equal(mine, expected, check_freq=False)
    wide = indicators(pd.concat(frames, axis=1).swaplevel(axis=1), names)
    for ticker, expected in right.items():
        mine = wide.xs(ticker, axis=1, level=1).loc[expected.index]
        pd.testing.assert_frame_equal(mine, expected, check_freq=False)
