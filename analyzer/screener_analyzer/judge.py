"""Core: the judge: what a stored row must hold, computed a second time by `ta` itself, asset by
asset over the whole stored history, and, where `ta` has no class, by numpy.

Shares no code with the kernels. Every function takes one asset's bars as `frame` makes them, oldest
first, every value finite, and returns one number a column, of the last bar. NaN is a right answer:
the value is not defined there.

What `ta` 0.11 gets wrong, or answers where there is no answer, is put right here, so that its
classes are called nowhere else:

* PSAR on anything but a RangeIndex is silently wrong with pandas 3.
* ADX, +DI and -DI answer 0 while they warm up (the minimum of bars makes that NULL) and where no
  bar had any range.
* RSI answers 100 where no close ever changed; CCI answers 0 or NaN by rounding luck in a flat
  window.
* pandas' running variance carries a residue of bars that have left the window; a kernel of a window
  is given that window only.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from ta.momentum import RSIIndicator, StochasticOscillator, StochRSIIndicator
from ta.trend import (
    MACD,
    ADXIndicator,
    CCIIndicator,
    EMAIndicator,
    PSARIndicator,
    SMAIndicator,
    WMAIndicator,
)
from ta.volatility import AverageTrueRange, BollingerBands

from screener_analyzer.panel import Adjusted, Matrix
from screener_analyzer.registry import LONGEST_HISTORY, REGISTRY
from screener_analyzer.ta_classes import Elements

TRADING_DAYS_A_YEAR = 252

Values = tuple[float, ...]


def sma(bars: pd.DataFrame, *, window: int) -> Values:
    """Mean of the last `window` closes."""
    return (_last(SMAIndicator(bars["close"], window).sma_indicator()),)


def ema(bars: pd.DataFrame, *, window: int) -> Values:
    """Exponential mean of the closes, alpha = 2 / (window + 1), starting at the first close."""
    return (_last(EMAIndicator(bars["close"], window).ema_indicator()),)


def wma(bars: pd.DataFrame, *, window: int) -> Values:
    """Mean of the last `window` closes, the newest weighing `window`, the oldest 1."""
    return (_last(WMAIndicator(bars["close"], window).wma()),)


def rsi(bars: pd.DataFrame, *, window: int) -> Values:
    """0 to 100; NaN where no close changed in what a run reads, because there is neither a gain nor
    a loss to compare."""
    if _is_flat(bars["close"].iloc[-LONGEST_HISTORY:]):
        return (math.nan,)
    return (_last(RSIIndicator(bars["close"], window).rsi()),)


def stochastic(bars: pd.DataFrame, *, window: int, smooth: int) -> Values:
    """%K: where the close stands between the lowest low and the highest high of `window` bars, 0 to
    100; %D: its mean of `smooth`."""
    oscillator = StochasticOscillator(bars["high"], bars["low"], bars["close"], window, smooth)
    return _last(oscillator.stoch()), _last(oscillator.stoch_signal())


def stochastic_rsi(bars: pd.DataFrame, *, window: int, smooth: int) -> Values:
    """Where the RSI stands in its own range of `window` bars, 0 to 1, mean of `smooth`; NaN where
    an RSI in reach is undefined."""
    oldest_rsi_in_reach = len(bars) - (window + smooth - 1)
    if _is_flat(bars["close"].iloc[-LONGEST_HISTORY : oldest_rsi_in_reach + 1]):
        return (math.nan,)
    return (_last(StochRSIIndicator(bars["close"], window, smooth, smooth).stochrsi_k()),)


def cci(bars: pd.DataFrame, *, window: int, constant: float) -> Values:
    """Distance of the typical price from its mean in units of `constant` x its mean deviation; NaN
    in a flat window."""
    typical_price = (bars["high"] + bars["low"] + bars["close"]) / 3.0
    if _is_flat(typical_price):
        return (math.nan,)
    return (_last(CCIIndicator(bars["high"], bars["low"], bars["close"], window, constant).cci()),)


def macd(bars: pd.DataFrame, *, fast: int, slow: int, signal: int) -> Values:
    """Fast less slow exponential mean of the closes, that line's own exponential mean of `signal`,
    and the difference of the two."""
    lines = MACD(bars["close"], window_slow=slow, window_fast=fast, window_sign=signal)
    return _last(lines.macd()), _last(lines.macd_signal()), _last(lines.macd_diff())


def directional_movement(bars: pd.DataFrame, *, window: int) -> Values:
    """+DI, -DI and ADX, 0 to 100, by Wilder; NaN where no bar had any range, and the ADX before 2 x
    `window` bars."""
    high, low, close_before = bars["high"], bars["low"], bars["close"].shift(1)
    moved = (high > low) | (high > close_before) | (low < close_before)
    if not moved.iloc[1:].iloc[-LONGEST_HISTORY + 1 :].any():
        return math.nan, math.nan, math.nan
    indicator = ADXIndicator(high, low, bars["close"], window)
    # ta's adx() raises IndexError on shorter series.
    adx = _last(indicator.adx()) if len(bars) >= 2 * window else math.nan
    return _last(indicator.adx_pos()), _last(indicator.adx_neg()), adx


def average_true_range(bars: pd.DataFrame, *, window: int) -> Values:
    """Wilder's mean of the true range, in the unit of the price."""
    return (
        _last(
            AverageTrueRange(bars["high"], bars["low"], bars["close"], window).average_true_range()
        ),
    )


def volatility(bars: pd.DataFrame, *, window: int) -> Values:
    """Sample deviation (ddof 1) of `window` simple daily returns, a year, in %."""
    close = bars["close"].to_numpy()
    returns = close[1:] / close[:-1] - 1.0
    return (float(np.std(returns[-window:], ddof=1)) * math.sqrt(TRADING_DAYS_A_YEAR) * 100.0,)


def _bollinger(bars: pd.DataFrame, *, window: int, deviations: int) -> Values:
    """Population deviation (ddof 0) of `window` closes; mean + and - `deviations` of it; the mean;
    the width of the band in % of the mean."""
    bands = BollingerBands(bars["close"], window, deviations)
    close = bars["close"].to_numpy()[-window:]
    return (
        # Measured from the last close, a flat window is exactly 0.
        float(np.std(close - close[-1])),
        _last(bands.bollinger_hband()),
        _last(bands.bollinger_mavg()),
        _last(bands.bollinger_lband()),
        _last(bands.bollinger_wband()),
    )


def bollinger_prices(bars: pd.DataFrame, *, window: int, deviations: int) -> Values:
    """Deviation, upper band, middle, lower band."""
    return _bollinger(bars, window=window, deviations=deviations)[:4]


def bollinger_width(bars: pd.DataFrame, *, window: int, deviations: int) -> Values:
    """Width of the band in % of the middle."""
    return _bollinger(bars, window=window, deviations=deviations)[4:]


def parabolic_sar(bars: pd.DataFrame, *, step: float, max_step: float) -> Values:
    """Wilder's stop-and-reverse price."""
    high, low, close = (Elements(bars[name].tolist()) for name in ("high", "low", "close"))
    return (_last(PSARIndicator(high, low, close, step, max_step).psar()),)


def slope(bars: pd.DataFrame, *, window: int) -> Values:
    """Least-squares slope of `window` closes, in price a bar."""
    close = bars["close"].to_numpy()[-window:]
    steps = np.arange(window) - (window - 1) / 2.0
    # Measured from the last close, a flat window is exactly 0.
    return (float(np.dot(steps, close - close[-1]) / np.dot(steps, steps)),)


def average_volume(bars: pd.DataFrame, *, window: int) -> Values:
    """Mean volume of `window` bars, in shares."""
    return (float(np.mean(bars["volume"].to_numpy()[-window:])),)


def last_raw_close(bars: pd.DataFrame) -> Values:
    """The last close as the vendor gives it, unadjusted."""
    return (float(bars["raw_close"].iloc[-1]),)


def _last(series: "pd.Series[float]") -> float:
    return float(series.iloc[-1])


def _is_flat(series: "pd.Series[float]") -> bool:
    values = series.to_numpy()
    return bool((values == values[0]).all())


@dataclass(frozen=True, slots=True)
class Judge:
    """How some columns are computed a second time."""

    columns: tuple[str, ...]
    values: Callable[..., Values]
    """(frame, **parameters) -> one number a column, of the last bar."""
    parameters: Mapping[str, int | float]
    scale: float | None
    """What a deviation is measured by where the value itself is smaller; None: the last close."""
    reach: int | None = None
    """How many of the last bars the values depend on; None: on all."""


def _judge(
    columns: str,
    values: Callable[..., Values],
    scale: float | None,
    reach: int | None = None,
    /,
    **parameters: int | float,
) -> Judge:
    return Judge(tuple(columns.split()), values, parameters, scale, reach)


JUDGES: tuple[Judge, ...] = (
    _judge("sma_50", sma, None, 50, window=50),
    _judge("sma_200", sma, None, 200, window=200),
    _judge("ema_12", ema, None, window=12),
    _judge("ema_26", ema, None, window=26),
    _judge("wma_20", wma, None, 20, window=20),
    _judge("rsi_14", rsi, 100.0, window=14),
    _judge("stoch_k stoch_d", stochastic, 100.0, 16, window=14, smooth=3),
    _judge("stoch_rsi", stochastic_rsi, 1.0, window=14, smooth=3),
    _judge("cci_20", cci, 100.0, 20, window=20, constant=0.015),
    _judge("macd macd_signal macd_histogram", macd, None, fast=12, slow=26, signal=9),
    _judge("dmi_plus dmi_minus adx", directional_movement, 100.0, window=14),
    _judge("atr_14", average_true_range, None, window=14),
    _judge("volatility", volatility, 1.0, 31, window=30),
    _judge(
        "std_dev bb_upper bb_middle bb_lower", bollinger_prices, None, 20, window=20, deviations=2
    ),
    _judge("bb_bandwidth", bollinger_width, 100.0, 20, window=20, deviations=2),
    _judge("sar", parabolic_sar, None, step=0.02, max_step=0.2),
    _judge("slope", slope, None, 20, window=20),
    _judge("avg_volume_30", average_volume, 1.0, 30, window=30),
    _judge("avg_volume_90", average_volume, 1.0, 90, window=90),
    _judge("current_price", last_raw_close, None, 1),
)

COLUMNS = tuple(column for judge in JUDGES for column in judge.columns)
"""Every column that is judged."""

_MINIMUM = {
    output.column: output.minimum_bars for indicator in REGISTRY for output in indicator.outputs
}


def frame(bars: Matrix, splits: NDArray[np.float64], adjusted: Adjusted = "all") -> pd.DataFrame:
    """An asset's stored bars (bars, open high low close adj_close volume), oldest first, with what
    adjusts each for splits, as they stood on the last one's day: adjusted columns on a RangeIndex:
    open, high, low, close, volume, raw_close.

    Begins after the last bar without values: nothing is computed across it.
    """
    holes = np.flatnonzero(~np.isfinite(bars).all(axis=1))
    if len(holes):
        bars, splits = bars[holes[-1] + 1 :], splits[holes[-1] + 1 :]
    close = bars[:, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = {"all": bars[:, 4] / close, "splits": splits, "none": np.ones(len(bars))}[adjusted]
        prices = bars[:, :4] * (factor / factor[-1])[:, np.newaxis]
    found = pd.DataFrame(prices, columns=["open", "high", "low", "close"])
    found["volume"] = bars[:, 5] * (splits if adjusted == "none" else splits[-1])
    found["raw_close"] = close
    return found


def judged(bars: pd.DataFrame) -> dict[str, float | None]:
    """Every column of COLUMNS at the last bar of a `frame`: a finite number, or None."""
    found: dict[str, float | None] = dict.fromkeys(COLUMNS)
    for judge in JUDGES:
        if len(bars) < min(_MINIMUM[column] for column in judge.columns):
            continue
        reach = bars if judge.reach is None else bars.iloc[-judge.reach :].reset_index(drop=True)
        if not np.isfinite(reach.to_numpy()).all():
            continue
        for column, value in zip(
            judge.columns, judge.values(reach, **judge.parameters), strict=True
        ):
            if len(bars) >= _MINIMUM[column] and math.isfinite(value):
                found[column] = float(value)
    return found


def deviations(
    stored: Mapping[str, float | None],
    right: Mapping[str, float | None],
    close: float,
    *,
    with_holes: bool = False,
) -> dict[str, float]:
    """By judged column, how far the stored value is from the right one, relative to the larger of
    that and the column's scale; infinite where one of the two alone is None.

    `with_holes`: the history has bars without values, which `frame` leaves out, so that a stored
    None is right whatever the judge has.
    """
    found = {}
    for judge in JUDGES:
        scale = close if judge.scale is None else judge.scale
        for column in judge.columns:
            mine, theirs = stored[column], right[column]
            if mine is None and with_holes:
                found[column] = 0.0
            elif mine is None or theirs is None:
                found[column] = 0.0 if mine is theirs else math.inf
            else:
                deviation = abs(mine - theirs) / max(abs(theirs), scale)
                found[column] = math.inf if math.isnan(deviation) else deviation
    return found
