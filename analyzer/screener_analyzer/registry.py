"""Core: the indicators, one row each: what it takes, gives and needs, and how it is computed.

Adding an indicator is a row here and a kernel. What repeats the registry is written from it by
`tests/registry_copies.py`: the migration that adds the columns, the list of columns in the
CustomResourceDefinition, the table of `docs/indicators.md`. Of a column that `ta` has no class for
the judge of every run needs a second definition (`judge/verdict.py`, DEFINED). Tests compare all
four.
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
SIGNED = Unit("-100 to 100")
SIGNED_ONE = Unit("-1 to 1")
NEGATIVE = Unit("-100 to 0")
BARS = Unit("bars")
DAYS = Unit("days")
MONEY = Unit("currency")
"""The major unit: pounds, not pence."""
WORTH = Unit("price x shares", prices=1, shares=1)
EASE = Unit("price² / share", prices=2, shares=-1)


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
    def columns(self) -> tuple[str, ...]:
        """Those of its outputs."""
        return tuple(output.column for output in self.outputs)

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


def _keltner(band: str) -> Ta:
    return Ta("volatility", "KeltnerChannel", f"keltner_channel_{band}")


def _donchian(band: str) -> Ta:
    return Ta("volatility", "DonchianChannel", f"donchian_channel_{band}")


def _ichimoku(line: str) -> Ta:
    return Ta("trend", "IchimokuIndicator", f"ichimoku_{line}")


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
    # Before those that are parts of it: what it has carried of them need not be carried again.
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
        Output("beta", NUMBER, 121, 253, "np.polyfit(the benchmark's returns, returns, 1)[0]"),
        window=252,
        least=120,
    ),
    _row(
        "slope",
        "trend",
        "Least-squares slope of the last 20 closes, a bar.",
        trend.slope,
        "close",
        Output(
            "slope",
            PRICE,
            20,
            20,
            "close.rolling(20).apply(lambda part: np.polyfit(range(20), part, 1)[0])",
        ),
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
    _row(
        "true_strength",
        "momentum",
        "Change of the close, averaged over 25 and then 13 bars, over its size averaged likewise.",
        momentum.true_strength,
        "close",
        Output("tsi", SIGNED, 38, 420, Ta("momentum", "TSIIndicator", "tsi")),
        slow=25,
        fast=13,
    ),
    _row(
        "ultimate_oscillator",
        "momentum",
        "Buying pressure over true range of 7, 14 and 28 bars, weighed 4, 2 and 1; NULL where no"
        " bar had a range.",
        momentum.ultimate,
        _RANGE,
        Output(
            "ultimate_oscillator",
            HUNDRED,
            29,
            29,
            Ta("momentum", "UltimateOscillator", "ultimate_oscillator"),
        ),
        windows=(7, 14, 28),
    ),
    _row(
        "adaptive_mean",
        "momentum",
        "Kaufman's adaptive mean of the closes: 10 bars, between 2 and 30.",
        momentum.adaptive_mean,
        "close",
        Output("kama_10", PRICE, 10, 640, Ta("momentum", "KAMAIndicator", "kama")),
        window=10,
        fast=2,
        slow=30,
    ),
    _row(
        "rate_of_change",
        "momentum",
        "Change of the close since 12 bars before.",
        momentum.rate_of_change,
        "close",
        Output("roc_12", PERCENT, 13, 13, Ta("momentum", "ROCIndicator", "roc")),
        window=12,
    ),
    _row(
        "awesome_oscillator",
        "momentum",
        "Mean of 5 less mean of 34 middles of the bars.",
        momentum.awesome,
        "high low",
        Output(
            "awesome_oscillator",
            PRICE,
            34,
            34,
            Ta("momentum", "AwesomeOscillatorIndicator", "awesome_oscillator"),
        ),
        fast=5,
        slow=34,
    ),
    _row(
        "williams",
        "momentum",
        "Distance of the close from the highest high, in the range of 14 bars; NULL in a flat"
        " range.",
        momentum.williams,
        _RANGE,
        Output("williams_r", NEGATIVE, 14, 14, Ta("momentum", "WilliamsRIndicator", "williams_r")),
        window=14,
    ),
    _row(
        "stochastic_rsi_lines",
        "momentum",
        "Where the RSI stands in its range of 14 bars, unsmoothed (raw), and stoch_rsi's mean of 3"
        " (d).",
        momentum.stochastic_rsi_lines,
        "close",
        Output("stoch_rsi_raw", ONE, 27, 420, Ta("momentum", "StochRSIIndicator", "stochrsi")),
        Output("stoch_rsi_d", ONE, 31, 420, Ta("momentum", "StochRSIIndicator", "stochrsi_d")),
        window=14,
        smooth=3,
    ),
    _row(
        "price_oscillator",
        "momentum",
        "MACD (12, 26) in % of the slow mean, its exponential mean of 9, and the difference.",
        momentum.price_oscillator,
        "close",
        Output("ppo", PERCENT, 26, 420, Ta("momentum", "PercentagePriceOscillator", "ppo")),
        Output(
            "ppo_signal",
            PERCENT,
            34,
            420,
            Ta("momentum", "PercentagePriceOscillator", "ppo_signal"),
        ),
        Output(
            "ppo_histogram",
            PERCENT,
            34,
            420,
            Ta("momentum", "PercentagePriceOscillator", "ppo_hist"),
        ),
        fast=12,
        slow=26,
        signal=9,
    ),
    _row(
        "volume_oscillator",
        "momentum",
        "The same of the volume; NULL where none was ever traded.",
        momentum.volume_oscillator,
        "volume",
        Output("pvo", PERCENT, 26, 420, Ta("momentum", "PercentageVolumeOscillator", "pvo")),
        Output(
            "pvo_signal",
            PERCENT,
            34,
            420,
            Ta("momentum", "PercentageVolumeOscillator", "pvo_signal"),
        ),
        Output(
            "pvo_histogram",
            PERCENT,
            34,
            420,
            Ta("momentum", "PercentageVolumeOscillator", "pvo_hist"),
        ),
        fast=12,
        slow=26,
        signal=9,
    ),
    _row(
        "bollinger_place",
        "volatility",
        "Where the close stands between the lower (0) and the upper Bollinger band (1); NULL in a"
        " flat window.",
        volatility.bollinger_place,
        "close",
        Output("bb_percent", NUMBER, 20, 20, Ta("volatility", "BollingerBands", "bollinger_pband")),
        window=20,
        deviations=2,
    ),
    _row(
        "keltner",
        "volatility",
        "Chester Keltner's channel, the original: means of 20 bars; its width in % of the middle;"
        " where the close stands in it.",
        volatility.keltner,
        _RANGE,
        Output("keltner_upper", PRICE, 20, 20, _keltner("hband")),
        Output("keltner_middle", PRICE, 20, 20, _keltner("mband")),
        Output("keltner_lower", PRICE, 20, 20, _keltner("lband")),
        Output("keltner_width", PERCENT, 20, 20, _keltner("wband")),
        Output("keltner_percent", NUMBER, 20, 20, _keltner("pband")),
        window=20,
    ),
    _row(
        "donchian",
        "volatility",
        "Highest high, middle and lowest low of 20 bars; the width in % of the mean close; where"
        " the close stands, NULL in a flat range.",
        volatility.donchian,
        _RANGE,
        Output("donchian_upper", PRICE, 20, 20, _donchian("hband")),
        Output("donchian_middle", PRICE, 20, 20, _donchian("mband")),
        Output("donchian_lower", PRICE, 20, 20, _donchian("lband")),
        Output("donchian_width", PERCENT, 20, 20, _donchian("wband")),
        Output("donchian_percent", ONE, 20, 20, _donchian("pband")),
        window=20,
    ),
    _row(
        "ulcer",
        "volatility",
        "Root of the mean square of 14 closes' distances from the highest of their last 14.",
        volatility.ulcer,
        "close",
        Output("ulcer_index", PERCENT, 14, 27, Ta("volatility", "UlcerIndex", "ulcer_index")),
        window=14,
    ),
    _row(
        "flows",
        "volume",
        "On-balance volume, accumulation/distribution, volume-price trend (all in shares) and"
        " negative volume index (1000 at the first bar), since the first stored bar.",
        volume.flows,
        "high low close volume",
        Output("obv", SHARES, 1, 0, Ta("volume", "OnBalanceVolumeIndicator", "on_balance_volume")),
        Output("adi", SHARES, 1, 0, Ta("volume", "AccDistIndexIndicator", "acc_dist_index")),
        Output(
            "vpt", SHARES, 2, 0, Ta("volume", "VolumePriceTrendIndicator", "volume_price_trend")
        ),
        Output(
            "nvi",
            NUMBER,
            1,
            0,
            Ta("volume", "NegativeVolumeIndexIndicator", "negative_volume_index"),
        ),
    ),
    _row(
        "cumulative_return",
        "price",
        "Change of the close since the first stored one.",
        volume.cumulative_return,
        "close",
        Output(
            "cumulative_return",
            PERCENT,
            1,
            0,
            Ta("others", "CumulativeReturnIndicator", "cumulative_return"),
        ),
    ),
    _row(
        "money_flow",
        "volume",
        "Chaikin: 20 bars' volume, each by where its close stands, over their volume; NULL where"
        " none was traded.",
        volume.money_flow,
        "high low close volume",
        Output(
            "cmf_20",
            SIGNED_ONE,
            20,
            20,
            Ta("volume", "ChaikinMoneyFlowIndicator", "chaikin_money_flow"),
        ),
        window=20,
    ),
    _row(
        "force",
        "volume",
        "Exponential mean, 13 bars, of the change of the close times the volume.",
        volume.force,
        "close volume",
        Output(
            "force_index_13", WORTH, 14, 200, Ta("volume", "ForceIndexIndicator", "force_index")
        ),
        window=13,
    ),
    _row(
        "ease_of_movement",
        "volume",
        "Move of the bar's middle times its range over its volume, x 1e8; and its mean of 14; NULL"
        " where none was traded.",
        volume.ease_of_movement,
        "high low volume",
        Output(
            "ease_of_movement",
            EASE,
            2,
            2,
            Ta("volume", "EaseOfMovementIndicator", "ease_of_movement"),
        ),
        Output(
            "ease_of_movement_14",
            EASE,
            15,
            15,
            Ta("volume", "EaseOfMovementIndicator", "sma_ease_of_movement"),
        ),
        window=14,
    ),
    _row(
        "money_flow_index",
        "volume",
        "Money of 14 bars with a higher typical price than the bar before, against money of those"
        " with a lower; NULL where there was neither.",
        volume.money_flow_index,
        "high low close volume",
        Output("mfi_14", HUNDRED, 14, 15, Ta("volume", "MFIIndicator", "money_flow_index")),
        window=14,
    ),
    _row(
        "weighted_price",
        "volume",
        "Typical price of 14 bars weighed by volume; NULL where none was traded.",
        volume.weighted_price,
        "high low close volume",
        Output(
            "vwap_14",
            PRICE,
            14,
            14,
            Ta("volume", "VolumeWeightedAveragePrice", "volume_weighted_average_price"),
        ),
        window=14,
    ),
    _row(
        "aroon",
        "trend",
        "How lately the highest high (up) and the lowest low (down) of 26 bars were, 100 for now;"
        " the difference.",
        trend.aroon,
        "high low",
        Output("aroon_up", HUNDRED, 26, 26, Ta("trend", "AroonIndicator", "aroon_up")),
        Output("aroon_down", HUNDRED, 26, 26, Ta("trend", "AroonIndicator", "aroon_down")),
        Output(
            "aroon_oscillator", SIGNED, 26, 26, Ta("trend", "AroonIndicator", "aroon_indicator")
        ),
        window=25,
    ),
    _row(
        "trix",
        "trend",
        "Change of a threefold exponential mean of the closes, 15 bars, since the bar before.",
        trend.trix,
        "close",
        Output("trix_15", PERCENT, 44, 420, Ta("trend", "TRIXIndicator", "trix")),
        window=15,
    ),
    _row(
        "mass_index",
        "trend",
        "Sum of 25 ratios of the range's exponential mean of 9 to that mean's own; NULL where no"
        " bar had a range.",
        trend.mass_index,
        "high low",
        Output("mass_index", NUMBER, 41, 200, Ta("trend", "MassIndex", "mass_index")),
        fast=9,
        slow=25,
    ),
    _row(
        "ichimoku",
        "trend",
        "Middles of the range of 9 and 26 bars, their mean (a), and of 52 bars (b); not shifted.",
        trend.ichimoku,
        "high low",
        Output("ichimoku_conversion", PRICE, 9, 9, _ichimoku("conversion_line")),
        Output("ichimoku_base", PRICE, 26, 26, _ichimoku("base_line")),
        Output("ichimoku_a", PRICE, 26, 26, _ichimoku("a")),
        Output("ichimoku_b", PRICE, 52, 52, _ichimoku("b")),
        short=9,
        middle=26,
        long=52,
    ),
    _row(
        "know_sure_thing",
        "trend",
        "Changes of the close over 10, 15, 20 and 30 bars, smoothed by 10, 10, 10 and 15, weighed 1"
        " to 4; its mean of 9; the difference.",
        trend.know_sure_thing,
        "close",
        Output("kst", PERCENT, 45, 45, Ta("trend", "KSTIndicator", "kst")),
        Output("kst_signal", PERCENT, 53, 53, Ta("trend", "KSTIndicator", "kst_sig")),
        Output("kst_histogram", PERCENT, 53, 53, Ta("trend", "KSTIndicator", "kst_diff")),
        changes=(10, 15, 20, 30),
        windows=(10, 10, 10, 15),
        signal=9,
    ),
    _row(
        "detrended_price",
        "trend",
        "The close of 11 bars ago less the mean of the last 20.",
        trend.detrended,
        "close",
        Output("dpo_20", PRICE, 20, 20, Ta("trend", "DPOIndicator", "dpo")),
        window=20,
    ),
    _row(
        "vortex",
        "trend",
        "Upward and downward moves between the ends of 14 bars, in true ranges; the difference;"
        " NULL where no bar had a range.",
        trend.vortex,
        _RANGE,
        Output(
            "vortex_plus", NUMBER, 15, 15, Ta("trend", "VortexIndicator", "vortex_indicator_pos")
        ),
        Output(
            "vortex_minus", NUMBER, 15, 15, Ta("trend", "VortexIndicator", "vortex_indicator_neg")
        ),
        Output(
            "vortex_difference",
            NUMBER,
            15,
            15,
            Ta("trend", "VortexIndicator", "vortex_indicator_diff"),
        ),
        window=14,
    ),
    _row(
        "schaff",
        "trend",
        "Schaff's trend cycle: where MACD (23, 50) stands in its range of 10 bars, smoothed by 3,"
        " and that once more.",
        trend.schaff,
        "close",
        Output("stc", HUNDRED, 72, 640, Ta("trend", "STCIndicator", "stc")),
        fast=23,
        slow=50,
        cycle=10,
        smooth=3,
    ),
    _row(
        "log_return",
        "price",
        "Difference of the natural logarithms of the last two closes, x 100.",
        price.log_return,
        "close",
        Output(
            "log_return_1d",
            PERCENT,
            2,
            2,
            Ta("others", "DailyLogReturnIndicator", "daily_log_return"),
        ),
    ),
    _row(
        "bar_returns",
        "price",
        "Total return, and return of the price alone, since 1 and 5 bars ago.",
        price.bar_returns,
        "close split_close",
        Output("return_1d", PERCENT, 2, 2, Ta("others", "DailyReturnIndicator", "daily_return")),
        Output("price_return_1d", PERCENT, 2, 2, "split_close.pct_change() * 100"),
        Output("return_5d", PERCENT, 6, 6, "close.pct_change(5) * 100"),
        Output("price_return_5d", PERCENT, 6, 6, "split_close.pct_change(5) * 100"),
        ago=(1, 5),
    ),
    _row(
        "month_returns",
        "price",
        "Total return, and return of the price alone, since the last bar on or before the same day"
        " 1, 3, 6 and 12 months earlier, and since the last bar of the year before (ytd).",
        price.month_returns,
        "close split_close dates",
        *(
            Output(
                f"{kind}_{name}",
                PERCENT,
                2,
                bars,
                f"({closes} / {closes}.asof(dates - {ago}).values - 1) * 100",
            )
            for name, bars, ago in (
                ("1m", 30, "pd.DateOffset(months=1)"),
                ("3m", 80, "pd.DateOffset(months=3)"),
                ("6m", 150, "pd.DateOffset(months=6)"),
                ("12m", 280, "pd.DateOffset(months=12)"),
                ("ytd", 280, "pd.offsets.YearEnd()"),
            )
            for kind, closes in (("return", "close"), ("price_return", "split_close"))
        ),
        months=(1, 3, 6, 12, 0),
    ),
    _row(
        "relative_strength",
        "price",
        "Total return of 3, 6 and 12 months over the benchmark's between the same days, less 1;"
        " NULL without a benchmark's bars of both.",
        price.relative_strength,
        "close benchmark dates",
        *(
            Output(
                f"relative_strength_{months}m",
                PERCENT,
                2,
                bars,
                f"((1 + return_{months}m / 100) / (1 + the benchmark's return / 100) - 1) * 100",
            )
            for months, bars in ((3, 80), (6, 150), (12, 280))
        ),
        months=(3, 6, 12),
    ),
    _row(
        "distances",
        "price",
        "Distance of the close from week_52_high and week_52_low, in % of them.",
        price.distances,
        "split_high split_low split_close",
        Output(
            "week_52_high_distance", PERCENT, 252, 252, "(split_close / week_52_high - 1) * 100"
        ),
        Output("week_52_low_distance", PERCENT, 252, 252, "(split_close / week_52_low - 1) * 100"),
        window=252,
    ),
    _row(
        "drawdown",
        "price",
        "Distance of the close from the highest of 252 closes; and the deepest that any of them was"
        " below one before it.",
        volatility.drawdown,
        "close",
        Output("drawdown", PERCENT, 252, 252, "(close / close.rolling(252).max() - 1) * 100"),
        Output(
            "max_drawdown",
            PERCENT,
            252,
            252,
            "close.rolling(252).apply(lambda part: (part / part.cummax() - 1).min()) * 100",
        ),
        window=252,
    ),
    _row(
        "gap",
        "price",
        "The open over the close before.",
        price.gap,
        "open close",
        Output("gap", PERCENT, 2, 2, "(open / close.shift() - 1) * 100"),
    ),
    _row(
        "mean_crossings",
        "trend",
        "How many bars ago sma_50 rose above sma_200 (0: at the last bar), and fell below it; NULL"
        " where it did not within 20 bars.",
        trend.mean_crossings,
        "close",
        Output("golden_cross_bars", BARS, 201, 220, "bars since (sma_50 > sma_200) became true"),
        Output("death_cross_bars", BARS, 201, 220, "bars since (sma_50 < sma_200) became true"),
        fast=50,
        slow=200,
        lookback=20,
    ),
    _row(
        "macd_crossings",
        "trend",
        "How many bars ago macd rose above macd_signal, and fell below it; NULL where it did not"
        " within 20 bars.",
        trend.macd_crossings,
        "close",
        Output("macd_rise_bars", BARS, 35, 420, "bars since (macd > macd_signal) became true"),
        Output("macd_fall_bars", BARS, 35, 420, "bars since (macd < macd_signal) became true"),
        fast=12,
        slow=26,
        signal=9,
        lookback=20,
    ),
    _row(
        "rsi_crossings",
        "momentum",
        "How many bars ago rsi_14 rose above 30, and fell below 70; NULL where it did not within 20"
        " bars.",
        trend.rsi_crossings,
        "close",
        Output("rsi_rise_bars", BARS, 15, 360, "bars since (rsi_14 > 30) became true"),
        Output("rsi_fall_bars", BARS, 15, 360, "bars since (rsi_14 < 70) became true"),
        window=14,
        low=30.0,
        high=70.0,
        lookback=20,
    ),
    _row(
        "traded_value",
        "volume",
        "Mean of close times volume of 30 bars, in the major unit of the currency.",
        volume.traded_value,
        "split_close volume",
        Output(
            "traded_value_30",
            MONEY,
            30,
            30,
            "(split_close * volume / minor_units).rolling(30).mean()",
        ),
        window=30,
    ),
    _row(
        "liquidity",
        "volume",
        "The last volume over its mean of 30 bars; how many of them had none; mean size of the"
        " return, in % for a million of the currency traded (NULL where a bar had no volume).",
        volume.liquidity,
        "close split_close volume",
        Output("relative_volume", NUMBER, 30, 30, "volume / volume.rolling(30).mean()"),
        Output("silent_bars_30", BARS, 30, 30, "(volume == 0).rolling(30).sum()"),
        Output(
            "illiquidity_30",
            PERCENT,
            31,
            31,
            "(abs(close.pct_change()) * 100 / (split_close * volume / minor_units / 1e6))"
            ".rolling(30).mean()",
        ),
        window=30,
    ),
    _row(
        "staleness",
        "price",
        "How many bars in a row, up to 60, closed where the bar before them did; days between the"
        " last bar and the one before.",
        price.staleness,
        "raw_close dates",
        Output("unchanged_bars", BARS, 1, 61, "length of the last run of close.diff() == 0"),
        Output("days_since_previous_bar", DAYS, 2, 2, "dates.to_series().diff().dt.days"),
        lookback=60,
    ),
)

COLUMNS: tuple[str, ...] = tuple(
    output.column for indicator in REGISTRY for output in indicator.outputs
)
"""Every column, in the registry's order."""

LONGEST_HISTORY = 640
"""How many of an asset's last bars are read: no output but cumulative ones needs more."""


def table() -> str:
    """The registry for people: a table in Markdown."""
    lines = [
        "| column | group | unit | from bar | history | what it says | the same |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for indicator in REGISTRY:
        for output in indicator.outputs:
            same = str(output.reference).replace("|", "\\|")
            lines.append(
                f"| `{output.column}` | {indicator.group} | {output.unit.text} |"
                f" {output.minimum_bars} | {output.history or 'all'} | {indicator.sentence} |"
                f" `{same}` |"
            )
    return "\n".join(lines) + "\n"
