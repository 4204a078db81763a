"""Core: the lines of `ta`'s classes over one asset's bars, each class computed once.

What `ta` 0.11 gets wrong, or answers where there is no answer, is put right here, so that its
classes are called nowhere else in a run:

* NVI takes four seconds for 40 years.
* ADX, +DI and -DI answer 0 where no bar had any range, RSI 100 where no close ever changed, CCI 0
  or NaN by rounding luck in a flat window, the stochastic of an RSI that did not move anything.
* pandas' running sums carry a residue of bars that have left the window: what depends on a window
  is given that window only.
* A mean that builds on the bar before goes on after one that is not a number.
"""

import math
from typing import Any

import numpy as np

from screener_analyzer.judge.history import History, Series
from screener_analyzer.reference import Ta
from screener_analyzer.ta_classes import CLASSES, as_series

BUILDING = {
    *("EMAIndicator", "MACD", "RSIIndicator", "StochRSIIndicator", "ADXIndicator"),
    *("AverageTrueRange", "PSARIndicator", "TSIIndicator", "KAMAIndicator"),
    *("PercentagePriceOscillator", "PercentageVolumeOscillator", "ForceIndexIndicator"),
    *("TRIXIndicator", "MassIndex", "STCIndicator", "OnBalanceVolumeIndicator"),
    *("AccDistIndexIndicator", "VolumePriceTrendIndicator", "NegativeVolumeIndexIndicator"),
}
"""`ta`'s classes in which every bar builds on the one before."""
SLOW = frozenset(["PSARIndicator", "ADXIndicator", "AverageTrueRange"])
"""Those of them that loop over a Series, and forget: a stop all that was before its trend, a mean
of Wilder's all but 1e-64 of what was SLOW_BARS before."""
SLOW_BARS = 2_000
ENDS = frozenset({"CumulativeReturnIndicator", "ROCIndicator"})
"""Those that compare the last bar with the first and look at none between."""


class Lines:
    """`ta` over one asset's bars."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._built: dict[tuple[str, str, int], Any] = {}
        self._fed: dict[tuple[str, int], Any] = {}

    def last(self, reference: Ta, bars: int) -> float:
        """At the last bar, of the last `bars` bars (0: of all) or, of a class that builds on every
        bar, of all; not a number where it is not defined."""
        line = self.line(reference, bars)
        if not len(line) or _is_undefined(self.history, reference):
            return math.nan
        return float(line[-1])

    def line(self, reference: Ta, bars: int) -> Series:
        """Every bar of it; empty where one that it is made of is not a number, or where there are
        too few for `ta`."""
        if reference.name in ENDS:
            close = self.history.last(bars or len(self.history)).close
            return self._values(reference, {"close": close}, {"close": close[[0, -1]]})
        part = whole = self.history
        if reference.name not in BUILDING:
            part = whole = whole.last(bars)
        elif reference.name in SLOW:
            part = whole.last(SLOW_BARS)
        names = CLASSES[reference.name].inputs
        return self._values(
            reference,
            {name: getattr(part, name) for name in names},
            {name: getattr(whole, name) for name in names},
        )

    def _values(self, reference: Ta, fields: dict[str, Series], known: dict[str, Series]) -> Series:
        length = len(next(iter(fields.values())))
        if reference.name == "ADXIndicator" and length < 28 and reference.method == "adx":
            return np.empty(0)  # ta raises an IndexError
        key = reference.name, str(reference.parameters), length
        if key not in self._built:
            finite = all(np.isfinite(values).all() for values in known.values())
            self._built[key] = self._build(reference, fields) if finite else None
        built = self._built[key]
        if built is None:
            return np.empty(0)
        return np.asarray(getattr(built, reference.method)(), dtype=np.float64)

    def _build(self, reference: Ta, fields: dict[str, Series]) -> Any:
        if reference.name == "NegativeVolumeIndexIndicator":
            return _NegativeVolume(**fields)
        # The last bars of a field are the same for every class, none of which changes them.
        fed = {name: self._series(name, values) for name, values in fields.items()}
        return CLASSES[reference.name].of(fed, reference.parameters)

    def _series(self, name: str, values: Series) -> Any:
        key = name, len(values)
        if key not in self._fed:
            self._fed[key] = as_series(values)
        return self._fed[key]


def _is_undefined(history: History, reference: Ta) -> bool:
    """Whether `ta` answers where there is no answer."""
    high, low, close = history.high, history.low, history.close
    if reference.name == "RSIIndicator":
        return _is_flat(close)
    if reference.name == "StochRSIIndicator":
        strengths, smoothings = 14, {"stochrsi": 0, "stochrsi_k": 2, "stochrsi_d": 4}
        for ago in range(smoothings[reference.method] + 1):
            end = len(close) - ago
            first = end - strengths
            # The first strength is none, or none differs from it.
            if _is_flat(close[: first + 1]) or _is_flat(close[first:end]):
                return True
    if reference.name == "ADXIndicator":
        moved = (high > low)[1:] | (high[1:] > close[:-1]) | (low[1:] < close[:-1])
        return not moved.any()
    if reference.name == "CCIIndicator":
        return _is_flat(((high + low + close) / 3.0)[-20:])
    return False


def _is_flat(values: Series) -> bool:
    return bool((values == values[0]).all()) if len(values) else True


class _NegativeVolume:
    """`ta`'s NVI without its loop."""

    def __init__(self, close: Series, volume: Series) -> None:
        change = close[1:] / close[:-1] - 1.0
        factors = np.where(volume[:-1] > volume[1:], 1.0 + change, 1.0)
        self._line = 1000.0 * np.concatenate([[1.0], np.cumprod(factors)])

    def negative_volume_index(self) -> Series:
        return self._line
