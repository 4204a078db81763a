"""Core: the indicators, one row each: what it takes, gives and needs, and how it is computed.

The columns of `technical_indicators` are the outputs here, in this order; a test compares the two.
Adding an indicator is a row here, a kernel, and a migration with its columns.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from screener_analyzer import kernels


@dataclass(frozen=True, slots=True)
class Output:
    """One column."""

    column: str
    """Its name in `technical_indicators`."""
    minimum_bars: int
    """With fewer bars its value is NULL."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """One row of the registry."""

    name: str
    inputs: tuple[str, ...]
    """Columns of the adjusted frame (`series.adjusted`): open, high, low, close, volume,
    raw_close."""
    outputs: tuple[Output, ...]
    parameters: Mapping[str, int | float]
    """Keyword arguments of `compute`."""
    reach: int | None
    """How many of the last bars the values depend on; None: on all, because each value builds on
    the one before it."""
    sentence: str
    """For people: what the columns say, with unit."""
    compute: Callable[..., tuple[float, ...]] | None
    """(frame of `inputs`, **parameters) -> one number an output, of the last bar. None: nothing to
    compute it from is stored."""

    @property
    def window(self) -> int:
        """The fewest bars that give any of its outputs."""
        return min(output.minimum_bars for output in self.outputs)

    def values(self, bars: pd.DataFrame) -> tuple[float, ...]:
        """One number an output, of the last bar of `bars` (as for `compute`); none where there is
        nothing to compute from."""
        return self.compute(bars, **self.parameters) if self.compute is not None else ()


def _row(
    name: str,
    sentence: str,
    compute: Callable[..., tuple[float, ...]] | None,
    inputs: tuple[str, ...],
    outputs: Mapping[str, int],
    reach: int | None,
    **parameters: Any,
) -> Indicator:
    return Indicator(
        name=name,
        inputs=inputs,
        outputs=tuple(Output(column, minimum) for column, minimum in outputs.items()),
        parameters=parameters,
        reach=reach,
        sentence=sentence,
        compute=compute,
    )


_CLOSE = ("close",)
_RANGE = ("high", "low", "close")

REGISTRY: tuple[Indicator, ...] = (
    _row(
        "sma_50",
        "Simple mean of the last 50 closes.",
        kernels.sma,
        _CLOSE,
        {"sma_50": 50},
        50,
        window=50,
    ),
    _row(
        "sma_200",
        "Simple mean of the last 200 closes.",
        kernels.sma,
        _CLOSE,
        {"sma_200": 200},
        200,
        window=200,
    ),
    _row(
        "ema_12",
        "Exponential mean of the closes, 12 bars.",
        kernels.ema,
        _CLOSE,
        {"ema_12": 12},
        None,
        window=12,
    ),
    _row(
        "ema_26",
        "Exponential mean of the closes, 26 bars.",
        kernels.ema,
        _CLOSE,
        {"ema_26": 26},
        None,
        window=26,
    ),
    _row(
        "wma_20",
        "Linearly weighted mean of the last 20 closes.",
        kernels.wma,
        _CLOSE,
        {"wma_20": 20},
        20,
        window=20,
    ),
    _row(
        "rsi",
        "Wilder's relative strength of gains against losses, 0 to 100; NULL where no close ever"
        " changed.",
        kernels.rsi,
        _CLOSE,
        {"rsi_14": 14},
        None,
        window=14,
    ),
    _row(
        "stochastic",
        "Where the close stands in the range of 14 bars, 0 to 100, unsmoothed (k), and its mean"
        " of 3 (d); NULL in a flat range.",
        kernels.stochastic,
        _RANGE,
        {"stoch_k": 14, "stoch_d": 16},
        16,
        window=14,
        smooth=3,
    ),
    _row(
        "stochastic_rsi",
        "Where the RSI stands in its range of 14 bars, 0 to 1, mean of 3 (k); NULL where the"
        " RSI did not move.",
        kernels.stochastic_rsi,
        _CLOSE,
        {"stoch_rsi": 29},
        None,
        window=14,
        smooth=3,
    ),
    _row(
        "cci",
        "Distance of the typical price from its mean of 20 bars, in 0.015 mean deviations; NULL"
        " in a flat window.",
        kernels.cci,
        _RANGE,
        {"cci_20": 20},
        20,
        window=20,
        constant=0.015,
    ),
    _row(
        "macd",
        "Exponential mean of 12 less that of 26 closes, in price; its exponential mean of 9;"
        " the difference of the two.",
        kernels.macd,
        _CLOSE,
        {"macd": 26, "macd_signal": 34, "macd_histogram": 34},
        None,
        fast=12,
        slow=26,
        signal=9,
    ),
    _row(
        "directional_movement",
        "Wilder's +DI and -DI, and the ADX, the strength of the trend whatever its direction, 0"
        " to 100; NULL where no bar had a range.",
        kernels.directional_movement,
        _RANGE,
        {"dmi_plus": 16, "dmi_minus": 16, "adx": 28},
        None,
        window=14,
    ),
    _row(
        "average_true_range",
        "Wilder's mean of the true range, 14 bars, in price.",
        kernels.average_true_range,
        _RANGE,
        {"atr_14": 14},
        None,
        window=14,
    ),
    _row(
        "volatility",
        "Sample deviation of the last 30 simple daily returns, a year (x sqrt(252)), in %.",
        kernels.volatility,
        _CLOSE,
        {"volatility": 31},
        31,
        window=30,
    ),
    _row(
        "bollinger",
        "Population deviation of the last 20 closes; the bands 2 of it above and below their"
        " mean; the mean; the width in % of it.",
        kernels.bollinger,
        _CLOSE,
        {"std_dev": 20, "bb_upper": 20, "bb_middle": 20, "bb_lower": 20, "bb_bandwidth": 20},
        20,
        window=20,
        deviations=2,
    ),
    _row(
        "parabolic_sar",
        "Wilder's parabolic stop-and-reverse price, step 0.02, at most 0.2.",
        kernels.parabolic_sar,
        _RANGE,
        {"sar": 3},
        None,
        step=0.02,
        max_step=0.2,
    ),
    _row(
        "beta",
        "NULL: no benchmark's bars are stored to compare the returns with.",
        None,
        _CLOSE,
        {"beta": 120},
        252,
    ),
    _row(
        "slope",
        "Least-squares slope of the last 20 closes, in price a bar.",
        kernels.slope,
        _CLOSE,
        {"slope": 20},
        20,
        window=20,
    ),
    _row(
        "average_volume_30",
        "Mean volume of the last 30 bars, in shares, adjusted for splits; 0 where none was traded.",
        kernels.average_volume,
        ("volume",),
        {"avg_volume_30": 30},
        30,
        window=30,
    ),
    _row(
        "average_volume_90",
        "Mean volume of the last 90 bars, in shares, adjusted for splits; 0 where none was traded.",
        kernels.average_volume,
        ("volume",),
        {"avg_volume_90": 90},
        90,
        window=90,
    ),
    _row(
        "week_52",
        "Highest high and lowest low of the last 252 bars, adjusted for splits and also for"
        " dividends: below what was quoted where"
        " dividends were paid since.",
        kernels.extremes,
        ("high", "low"),
        {"week_52_high": 252, "week_52_low": 252},
        252,
        window=252,
    ),
    _row(
        "current_price",
        "The last close as the vendor gives it, not adjusted.",
        kernels.last_raw_close,
        ("raw_close",),
        {"current_price": 1},
        1,
    ),
)

COLUMNS: tuple[str, ...] = tuple(
    output.column for indicator in REGISTRY for output in indicator.outputs
)
"""Every column, in the registry's order."""

BARS_READ = 600
"""How many of an asset's last bars are read: what an average that builds on itself carries from
before is below 1e-9 by then."""
