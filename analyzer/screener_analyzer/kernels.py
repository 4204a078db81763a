"""Core: how each indicator's latest values are computed, with `ta` and, where `ta` has no class,
numpy.

Never looks at a clock, a database or at which columns there are. Every kernel takes one asset's
bars as `registry.py` promises them: a frame on a RangeIndex, oldest first, float64, every value
finite, at least the smallest minimum of its outputs long; it returns one number an output, of the
last bar. NaN is a right answer: the value is not defined there.

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
from typing import Any

import numpy as np
import pandas as pd
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
    """0 to 100; NaN where no close ever changed, because there is neither a gain nor a loss to
    compare."""
    if _is_flat(bars["close"]):
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
    if _is_flat(bars["close"].iloc[: oldest_rsi_in_reach + 1]):
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
    if not moved.iloc[1:].any():
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


def bollinger(bars: pd.DataFrame, *, window: int, deviations: int) -> Values:
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


def parabolic_sar(bars: pd.DataFrame, *, step: float, max_step: float) -> Values:
    """Wilder's stop-and-reverse price."""
    # ta reads and writes it element by element, which costs a pandas Series fifty times what it
    # costs a list.
    high, low, close = (_Elements(bars[name].tolist()) for name in ("high", "low", "close"))
    return (_last(PSARIndicator(high, low, close, step, max_step).psar()),)


def slope(bars: pd.DataFrame, *, window: int) -> Values:
    """Least-squares slope of `window` closes, in price a bar."""
    close = bars["close"].to_numpy()[-window:]
    steps = np.arange(window) - (window - 1) / 2.0
    # Measured from the last close, a flat window is exactly 0.
    return (float(np.dot(steps, close - close[-1]) / np.dot(steps, steps)),)


def average_volume(bars: pd.DataFrame, *, window: int) -> Values:
    """Mean volume of `window` bars, in shares; 0 where none was traded."""
    return (float(np.mean(bars["volume"].to_numpy()[-window:])),)


def extremes(bars: pd.DataFrame, *, window: int) -> Values:
    """Highest high and lowest low of `window` bars."""
    return (
        float(np.max(bars["high"].to_numpy()[-window:])),
        float(np.min(bars["low"].to_numpy()[-window:])),
    )


def last_raw_close(bars: pd.DataFrame) -> Values:
    """The last close as the vendor gives it, unadjusted."""
    return (float(bars["raw_close"].iloc[-1]),)


def _last(series: "pd.Series[float]") -> float:
    return float(series.iloc[-1])


def _is_flat(series: "pd.Series[float]") -> bool:
    values = series.to_numpy()
    return bool((values == values[0]).all())


class _Elements(list[float]):
    """Numbers with as much of a Series' face as `ta`'s PSAR uses: by position they are what a
    Series on a RangeIndex is."""

    @property
    def iloc(self) -> "_Elements":
        return self

    @property
    def index(self) -> Any:  # not list.index: ta asks a Series for its labels
        return pd.RangeIndex(len(self))

    def copy(self) -> "_Elements":
        return _Elements(self)
