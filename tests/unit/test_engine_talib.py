"""TA-Lib, a second judge in C: where its definition is the same, so are the numbers.

Its exponential means begin with a simple one, Wilder's with the second bar and SAR with the first
move: those are compared once both have forgotten how they began.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from engine_bars import Asset, random_asset, real_assets

from screener_analyzer.engine import compute
from screener_analyzer.registry import COLUMNS

talib = pytest.importorskip("talib", reason="TA-Lib is not installed")

FORGOTTEN = 450
"""After so many bars nothing is left of how an average began."""
Floats = np.ndarray


def theirs(
    open_: Floats, high: Floats, low: Floats, close: Floats, volume: Floats
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """By column: those that depend on a window, and those that build on the bar before."""
    bands = talib.BBANDS(close, 20, 2, 2)
    windows = {
        "sma_50": talib.SMA(close, 50),
        "sma_200": talib.SMA(close, 200),
        "wma_20": talib.WMA(close, 20),
        "cci_20": talib.CCI(high, low, close, 20),
        "std_dev": talib.STDDEV(close, 20),
        "bb_upper": bands[0],
        "bb_middle": bands[1],
        "bb_lower": bands[2],
        "stoch_k": talib.STOCHF(high, low, close, 14, 3)[0],
        "stoch_d": talib.STOCHF(high, low, close, 14, 3)[1],
        "slope": talib.LINEARREG_SLOPE(close, 20),
        "roc_12": talib.ROC(close, 12),
        "return_1d": talib.ROC(close, 1),
        "return_5d": talib.ROC(close, 5),
        "williams_r": talib.WILLR(high, low, close, 14),
        "ultimate_oscillator": talib.ULTOSC(high, low, close, 7, 14, 28),
        "mfi_14": talib.MFI(high, low, close, volume, 14),
        "adi": talib.AD(high, low, close, volume),
        "donchian_upper": talib.MAX(high, 20),
        "donchian_lower": talib.MIN(low, 20),
        "ichimoku_conversion": talib.MIDPRICE(high, low, 9),
        "ichimoku_base": talib.MIDPRICE(high, low, 26),
        "ichimoku_b": talib.MIDPRICE(high, low, 52),
        "avg_volume_30": talib.SMA(volume, 30),
        "avg_volume_90": talib.SMA(volume, 90),
        "kama_10": talib.KAMA(close, 10),
    }
    macd, signal, histogram = talib.MACD(close)
    building = {
        "ema_12": talib.EMA(close, 12),
        "ema_26": talib.EMA(close, 26),
        "rsi_14": talib.RSI(close, 14),
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": histogram,
        "dmi_plus": talib.PLUS_DI(high, low, close, 14),
        "dmi_minus": talib.MINUS_DI(high, low, close, 14),
        "adx": talib.ADX(high, low, close, 14),
        "atr_14": talib.ATR(high, low, close, 14),
        "ppo": talib.PPO(close, 12, 26, 1),
        "trix_15": talib.TRIX(close, 15),
        "stoch_rsi_raw": talib.STOCHRSI(close, 14, 14, 3)[0] / 100,
        "stoch_rsi": talib.STOCHRSI(close, 14, 14, 3)[1] / 100,
    }
    return windows, building


@cache
def assets() -> dict[str, Asset]:
    found = {f"random {seed}": random_asset(seed, 900, 4) for seed in range(4)}
    return found | real_assets()


def differences(asset: Asset) -> tuple[dict[str, tuple[float, int]], int]:
    """By column, the largest difference relative to its scale, and where; and how many columns."""
    panel = replace(asset.panel(), bases=None)
    fields = [panel.open, panel.high, panel.low, panel.close, panel.volume]
    windows, building = theirs(*(np.ascontiguousarray(matrix[:, 0]) for matrix in fields))
    ours = compute(panel, rows=panel.rows)
    found = {}
    for column, right in (windows | building).items():
        mine = ours[column][:, 0]
        both = np.isfinite(mine) & np.isfinite(right)
        if column in building:
            both[:FORGOTTEN] = False
        assert both.sum() > 100, column
        off = np.abs(mine - right)[both] / np.maximum(np.max(np.abs(right[both])), 1.0)
        if off.max() > 1e-8:
            found[column] = (float(off.max()), int(np.flatnonzero(both)[off.argmax()]))
    return found, len(windows) + len(building)


@pytest.mark.parametrize("name", assets())
def test_columns_that_ta_lib_defines_alike_are_the_same(name: str) -> None:
    found, compared = differences(assets()[name])
    if not name.startswith("random"):
        # Whether a typical price is that of the bar before is in real prices decided by rounding.
        found.pop("mfi_14", None)
    assert found == {}
    assert compared == 40


def test_where_ta_lib_differs_it_is_by_its_convention() -> None:
    asset = random_asset(3, 640, 1)
    panel = replace(asset.panel(), bases=None)
    high, low, close, volume = (
        np.ascontiguousarray(matrix[:, 0])
        for matrix in (panel.high, panel.low, panel.close, panel.volume)
    )
    ours = {column: values[:, 0] for column, values in compute(panel, rows=640).items()}
    # On an unchanged close it adds no volume to OBV, ta and we add it.
    unchanged = np.concatenate([[False], close[1:] == close[:-1]])
    extra = np.cumsum(np.where(unchanged, volume, 0.0))
    assert unchanged.sum() > 3
    assert ours["obv"] == pytest.approx(talib.OBV(close, volume) + extra)
    # Of equal extremes it takes the newest, ta and we the oldest.
    down, up = talib.AROON(high, low, 25)
    for mine, right in ((ours["aroon_up"], up), (ours["aroon_down"], down)):
        known = np.isfinite(right)
        assert (mine[known] <= right[known] + 1e-9).all()
    # SAR keeps off both bars before, ta and we off the older one first.
    sar = talib.SAR(high, low, 0.02, 0.2)
    assert np.mean(np.isclose(ours["sar"][FORGOTTEN:], sar[FORGOTTEN:], rtol=1e-9)) > 0.5
    assert set(COLUMNS) >= {"obv", "aroon_up", "aroon_down", "sar"}
