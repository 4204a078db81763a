"""Core: the indicators, one row each: what it takes, gives and needs, and how it is computed.

The columns of `technical_indicators` are the outputs here, and so is the table of
`docs/indicators.md`; tests compare them. Adding an indicator is a row here, a kernel, and a
migration with its columns.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from screener_analyzer.kernels import momentum, price, trend, volatility, volume
from screener_analyzer.panel import Outputs
from screener_analyzer.reference import Reference, Ta


@dataclass(frozen=True, slots=True)
class Unit:
    """What a value is counted in, and so how it changes when prices or shares are counted anew: it
    is multiplied once a power by what they are multiplied by."""

    text: str
    prices: int = 0
    """Of fully adjusted prices."""
    split_prices: int = 0
    """Of prices that are adjusted for splits only."""
    shares: int = 0


PRICE = Unit("price", prices=1)
SPLIT_PRICE = Unit("price", split_prices=1)
QUOTED = Unit("price")
"""Not adjusted."""
SHARES = Unit("shares", shares=1)
PERCENT = Unit("%")
NUMBER = Unit("number")
"""A ratio."""
HUNDRED = Unit("0 to 100")
ONE = Unit("0 to 1")


@dataclass(frozen=True, slots=True)
class Output:
    """One column."""

    column: str
    """Its name in `technical_indicators`."""
    unit: Unit
    minimum_bars: int
    """With fewer bars its value is NULL."""
    history: int
    """How many of the last bars give the value of all bars to 1e-9; 0: it needs all of them, or
    what was carried (`Indicator.cumulative`)."""
    reference: Reference


@dataclass(frozen=True, slots=True)
class Indicator:
    """One row of the registry."""

    name: str
    group: str
    """trend, momentum, volatility, volume or price."""
    sentence: str
    """For people: what the columns say."""
    kernel: Callable[..., Outputs]
    """(panel, rows, **parameters) -> one matrix (rows, assets) an output."""
    inputs: tuple[str, ...]
    """Fields of the panel that it reads."""
    outputs: tuple[Output, ...]
    parameters: Mapping[str, Any]
    """Keyword arguments of the kernel."""

    @property
    def cumulative(self) -> bool:
        """Whether it begins at the first stored bar."""
        return any(output.history == 0 for output in self.outputs)


def _row(
    name: str,
    group: str,
    sentence: str,
    kernel: Callable[..., Outputs],
    inputs: str,
    *outputs: Output,
    **parameters: Any,
) -> Indicator:
    return Indicator(name, group, sentence, kernel, tuple(inputs.split()), outputs, parameters)


_RANGE = "high low close"

REGISTRY: tuple[Indicator, ...] = (
    _row(
        "sma_50",
        "trend",
        "Simple mean of the last 50 closes.",
        trend.sma,
        "close",
        Output(
            "sma_50", PRICE, 50, 50, Ta("trend", "SMAIndicator", "sma_indicator", {"window": 50})
        ),
        window=50,
    ),
    _row(
        "sma_200",
        "trend",
        "Simple mean of the last 200 closes.",
        trend.sma,
        "close",
        Output(
            "sma_200",
            PRICE,
            200,
            200,
            Ta("trend", "SMAIndicator", "sma_indicator", {"window": 200}),
        ),
        window=200,
    ),
    _row(
        "ema_12",
        "trend",
        "Exponential mean of the closes, 12 bars.",
        trend.ema,
        "close",
        Output(
            "ema_12", PRICE, 12, 150, Ta("trend", "EMAIndicator", "ema_indicator", {"window": 12})
        ),
        window=12,
    ),
    _row(
        "ema_26",
        "trend",
        "Exponential mean of the closes, 26 bars.",
        trend.ema,
        "close",
        Output(
            "ema_26", PRICE, 26, 320, Ta("trend", "EMAIndicator", "ema_indicator", {"window": 26})
        ),
        window=26,
    ),
    _row(
        "wma_20",
        "trend",
        "Linearly weighted mean of the last 20 closes.",
        trend.wma,
        "close",
        Output("wma_20", PRICE, 20, 20, Ta("trend", "WMAIndicator", "wma", {"window": 20})),
        window=20,
    ),
    _row(
        "rsi",
        "momentum",
        "Wilder's relative strength of gains against losses; NULL where no close ever changed.",
        momentum.rsi,
        "close",
        Output("rsi_14", HUNDRED, 14, 360, Ta("momentum", "RSIIndicator", "rsi")),
        window=14,
    ),
    _row(
        "stochastic",
        "momentum",
        "Where the close stands in the range of 14 bars, unsmoothed (k), and its mean of 3 (d);"
        " NULL in a flat range.",
        momentum.stochastic,
        _RANGE,
        Output("stoch_k", HUNDRED, 14, 14, Ta("momentum", "StochasticOscillator", "stoch")),
        Output("stoch_d", HUNDRED, 16, 16, Ta("momentum", "StochasticOscillator", "stoch_signal")),
        window=14,
        smooth=3,
    ),
    _row(
        "stochastic_rsi",
        "momentum",
        "Where the RSI stands in its range of 14 bars, mean of 3 (k); NULL where the RSI did not"
        " move.",
        momentum.stochastic_rsi,
        "close",
        Output("stoch_rsi", ONE, 29, 420, Ta("momentum", "StochRSIIndicator", "stochrsi_k")),
        window=14,
        smooth=3,
    ),
    _row(
        "cci",
        "trend",
        "Distance of the typical price from its mean of 20 bars, in 0.015 mean deviations; NULL"
        " in a flat window.",
        trend.cci,
        _RANGE,
        Output("cci_20", NUMBER, 20, 20, Ta("trend", "CCIIndicator", "cci")),
        window=20,
        constant=0.015,
    ),
    _row(
        "macd",
        "trend",
        "Exponential mean of 12 less that of 26 closes; its exponential mean of 9; the difference"
        " of the two.",
        trend.macd,
        "close",
        Output("macd", PRICE, 26, 420, Ta("trend", "MACD", "macd")),
        Output("macd_signal", PRICE, 34, 420, Ta("trend", "MACD", "macd_signal")),
        Output("macd_histogram", PRICE, 34, 420, Ta("trend", "MACD", "macd_diff")),
        fast=12,
        slow=26,
        signal=9,
    ),
    _row(
        "directional_movement",
        "trend",
        "Wilder's +DI and -DI, and the ADX, the strength of the trend whatever its direction; NULL"
        " where no bar had a range.",
        trend.directional_movement,
        _RANGE,
        Output("dmi_plus", HUNDRED, 16, 420, Ta("trend", "ADXIndicator", "adx_pos")),
        Output("dmi_minus", HUNDRED, 16, 420, Ta("trend", "ADXIndicator", "adx_neg")),
        Output("adx", HUNDRED, 28, 420, Ta("trend", "ADXIndicator", "adx")),
        window=14,
    ),
    _row(
        "average_true_range",
        "volatility",
        "Wilder's mean of the true range, 14 bars.",
        volatility.average_true_range,
        _RANGE,
        Output(
            "atr_14", PRICE, 14, 360, Ta("volatility", "AverageTrueRange", "average_true_range")
        ),
        window=14,
    ),
    _row(
        "volatility",
        "volatility",
        "Sample deviation of the last 30 simple daily returns, a year (x sqrt(252)).",
        volatility.volatility,
        "close",
        Output(
            "volatility",
            PERCENT,
            31,
            31,
            "close.pct_change().rolling(30).std(ddof=1) * 252**0.5 * 100",
        ),
        window=30,
    ),
    _row(
        "bollinger",
        "volatility",
        "Population deviation of the last 20 closes; the bands 2 of it above and below their"
        " mean; the mean; the width in % of it.",
        volatility.bollinger,
        "close",
        Output("std_dev", PRICE, 20, 20, "close.rolling(20).std(ddof=0)"),
        Output("bb_upper", PRICE, 20, 20, Ta("volatility", "BollingerBands", "bollinger_hband")),
        Output("bb_middle", PRICE, 20, 20, Ta("volatility", "BollingerBands", "bollinger_mavg")),
        Output("bb_lower", PRICE, 20, 20, Ta("volatility", "BollingerBands", "bollinger_lband")),
        Output(
            "bb_bandwidth", PERCENT, 20, 20, Ta("volatility", "BollingerBands", "bollinger_wband")
        ),
        window=20,
        deviations=2,
    ),
    _row(
        "parabolic_sar",
        "trend",
        "Wilder's parabolic stop-and-reverse price, step 0.02, at most 0.2.",
        trend.parabolic_sar,
        _RANGE,
        Output("sar", PRICE, 3, 540, Ta("trend", "PSARIndicator", "psar")),
        step=0.02,
        max_step=0.2,
    ),
    _row(
        "beta",
        "price",
        "Least-squares slope of the simple daily returns on the benchmark's, the last 252 between"
        " sessions that both have; NULL below 120 and without a benchmark's bars.",
        price.beta,
        "close benchmark",
        Output("beta", NUMBER, 121, 253, "numpy.polyfit(benchmark returns, returns, 1)[0]"),
        window=252,
        least=120,
    ),
    _row(
        "slope",
        "trend",
        "Least-squares slope of the last 20 closes, a bar.",
        trend.slope,
        "close",
        Output("slope", PRICE, 20, 20, "numpy.polyfit(range(20), close[-20:], 1)[0]"),
        window=20,
    ),
    _row(
        "average_volume_30",
        "volume",
        "Mean volume of the last 30 bars, adjusted for splits; 0 where none was traded.",
        volume.average_volume,
        "volume",
        Output("avg_volume_30", SHARES, 30, 30, "volume.rolling(30).mean()"),
        window=30,
    ),
    _row(
        "average_volume_90",
        "volume",
        "Mean volume of the last 90 bars, adjusted for splits; 0 where none was traded.",
        volume.average_volume,
        "volume",
        Output("avg_volume_90", SHARES, 90, 90, "volume.rolling(90).mean()"),
        window=90,
    ),
    _row(
        "week_52",
        "price",
        "Highest high and lowest low of the last 252 bars, adjusted for splits, not for dividends.",
        price.extremes,
        "split_high split_low",
        Output("week_52_high", SPLIT_PRICE, 252, 252, "split_high.rolling(252).max()"),
        Output("week_52_low", SPLIT_PRICE, 252, 252, "split_low.rolling(252).min()"),
        window=252,
    ),
    _row(
        "current_price",
        "price",
        "The last close as the vendor gives it, not adjusted.",
        price.last_raw_close,
        "raw_close",
        Output("current_price", QUOTED, 1, 1, "raw_close"),
    ),
)

COLUMNS: tuple[str, ...] = tuple(
    output.column for indicator in REGISTRY for output in indicator.outputs
)
"""Every column, in the registry's order."""

LONGEST_HISTORY = 600
"""How many of an asset's last bars are read: no output but cumulative ones needs more."""
