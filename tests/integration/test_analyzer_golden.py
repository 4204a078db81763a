"""Values that others have published, each to its own rounding.

The files are an optional folder beside the project; without it these tests are skipped. Some were
made with other parameters than the registry's; the table names them.
"""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from screener_analyzer import extra
from screener_analyzer.engine import compute
from screener_analyzer.panel import Matrix, panel
from screener_analyzer.registry import REGISTRY, Indicator

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "golden"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no shared data")


@dataclass(frozen=True)
class Published:
    file: str
    column: str
    """Ours."""
    theirs: str
    parameters: dict[str, Any] | None = None
    fades: float | None = None
    """Theirs begins otherwise, and what it differs by becomes so much of it with each bar; nothing
    else differs."""
    faded: int = 0
    """Rows before it differ by how theirs begins."""
    tolerance: float = 0.0
    """Beside a unit of the last digit of each value as it is written."""


# The signals of MACD, PPO and PVO, and so their histograms, begin at the first bar.
TABLE = {
    "RSI": Published("cs-rsi", "rsi_14", "RSI"),
    "ADX": Published("cs-adx", "adx", "ADX"),
    "+DI": Published("cs-adx", "dmi_plus", "+DI14"),
    "-DI": Published("cs-adx", "dmi_minus", "-DI14"),
    "ATR of 10": Published("cs-atr2", "atr_14", "ATR", {"window": 10}),
    "ATR of 14": Published("cs-atr", "atr_14", "ATR"),
    "MACD": Published("cs-macd", "macd", "MACD_line"),
    "MACD signal": Published("cs-macd", "macd_signal", "MACD_signal", fades=0.8),
    "MACD histogram": Published("cs-macd", "macd_histogram", "MACD_diff", fades=0.8),
    "CCI": Published("cs-cci", "cci_20", "CCI"),
    "PSAR": Published("cs-psar", "sar", "psar"),
    "Bollinger middle": Published("cs-bbands", "bb_middle", "MiddleBand"),
    "Bollinger deviation": Published("cs-bbands", "std_dev", "20-day Standard Deviation"),
    "Bollinger upper": Published("cs-bbands", "bb_upper", "HighBand"),
    "Bollinger lower": Published("cs-bbands", "bb_lower", "LowBand"),
    "Bollinger width": Published("cs-bbands", "bb_bandwidth", "WidthBand"),
    "stochastic %K": Published("cs-soo", "stoch_k", "SO"),
    "stochastic %D": Published("cs-soo", "stoch_d", "SO_SIG"),
    "WMA of 9": Published("cs-wma", "wma_20", "WMA", {"window": 9}),
    "KAMA": Published("cs-kama", "kama_10", "KAMA"),
    # It begins its means with simple ones, which fades, and rounds their constants, to 0.07692 and
    # 0.1428, which does not.
    "TSI": Published("cs-tsi", "tsi", "TSI", tolerance=0.011, faded=120),
    "ulcer index": Published("cs-ui", "ulcer_index", "ulcer_index"),
    "ultimate oscillator": Published("cs-ultosc", "ultimate_oscillator", "Ult_Osc"),
    "vortex +": Published("cs-vortex", "vortex_plus", "+VI14"),
    "vortex -": Published("cs-vortex", "vortex_minus", "-VI14"),
    "VPT": Published("cs-vpt", "vpt", "unsmoothed vpt"),
    "VWAP": Published("cs-vwap", "vwap_14", "vwap"),
    "OBV": Published("cs-obv", "obv", "OBV"),
    "money flow index": Published("cs-mfi", "mfi_14", "MFI"),
    "Donchian upper": Published("cs-dc", "donchian_upper", "upper_band"),
    "Donchian middle": Published("cs-dc", "donchian_middle", "middle_band"),
    "Donchian lower": Published("cs-dc", "donchian_lower", "lower_band"),
    "Donchian width": Published("cs-dc", "donchian_width", "dc_band_width"),
    "Donchian place": Published("cs-dc", "donchian_percent", "dc_percentage"),
    "ease of movement": Published("cs-easeofmovement", "ease_of_movement", "EMV"),
    "its mean": Published("cs-easeofmovement", "ease_of_movement_14", "SMA_EMV"),
    "force index": Published("cs-fi", "force_index_13", "FI"),
    "Williams %R": Published("cs-percentr", "williams_r", "Williams_%R"),
    "PPO": Published("cs-ppo", "ppo", "PPO"),
    "PPO signal": Published("cs-ppo", "ppo_signal", "PPO_Signal_Line", fades=0.8),
    "PPO histogram": Published("cs-ppo", "ppo_histogram", "PPO_Histogram", fades=0.8),
    "PVO": Published("cs-pvo", "pvo", "PVO"),
    "PVO signal": Published("cs-pvo", "pvo_signal", "PVO_Signal_Line", fades=0.8),
    "PVO histogram": Published("cs-pvo", "pvo_histogram", "PVO_Histogram", fades=0.8),
    "rate of change": Published("cs-roc", "roc_12", "ROC"),
    # Its ranges, and the means of them, begin at the first bar.
    "Schaff trend cycle": Published("cs-stc", "stc", "stc", tolerance=1e-8, faded=99),
    "accumulation/distribution": Published("cs-accum", "adi", "ADLine"),
    "stochastic RSI": Published("cs-stochrsi", "stoch_rsi_raw", "StochRSI(14)"),
    "Bollinger %B": Published("cs-bbands", "bb_percent", "PercentageBand"),
}


@dataclass(frozen=True)
class ByName:
    """What no column is, and `ta` computes for who names it."""

    file: str
    name: str
    parameters: dict[str, Any]
    theirs: dict[str, str]
    """By output of the class."""


BY_NAME = {
    "Keltner's channel of an exponential mean and true ranges": ByName(
        "cs-kc",
        "KeltnerChannel",
        {"original_version": False},
        {
            "keltner_channel_hband": "upper_band",
            "keltner_channel_mband": "middle_band",
            "keltner_channel_lband": "lower_band",
            "keltner_channel_wband": "kc_band_width",
            "keltner_channel_pband": "kc_percentage",
        },
    ),
    "Donchian's channel without the last bar": ByName(
        "cs-dc2",
        "DonchianChannel",
        {"offset": 1},
        {
            "donchian_channel_hband": "upper_band",
            "donchian_channel_mband": "middle_band",
            "donchian_channel_lband": "lower_band",
            "donchian_channel_wband": "dc_band_width",
            "donchian_channel_pband": "dc_percentage",
        },
    ),
}
WINDOW = 20
"""Of both: a bar with so many before it has a value."""

HAS = {name for each in ("high", "low", "close", "volume") for name in (each, each.title())}
LEAST = {"cs-ui": 1, "cs-ultosc": 2}
"""Of values where fewer than 6 are published."""


def rows_of(file: str) -> list[dict[str, str]]:
    with (FOLDER / f"{file}.csv").open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    for row in rows:
        if file == "cs-psar":
            row["psar"] = row["psar_up"] or row["psar_down"]
    return rows


def bars_of(rows: list[dict[str, str]]) -> Matrix:
    """A file without a column, or a cell, is of an indicator that does not take it."""
    bars = []
    for row in rows:
        given = {name.lower(): float(value) for name, value in row.items() if name in HAS and value}
        close = given.get("close", given.get("low", 1.0))
        high, low = given.get("high", close), given.get("low", close)
        bars.append((close, high, low, close, close, given.get("volume", 0.0)))
    return np.array(bars)


def values(bars: Matrix, indicator: Indicator, column: str) -> list[float]:
    """Of every bar; NaN: NULL."""
    whole = panel(bars, [len(bars)])
    return [float(row[0]) for row in compute(whole, [indicator], rows=len(bars))[column]]


def indicator_of(case: Published) -> Indicator:
    found = next(row for row in REGISTRY if case.column in {out.column for out in row.outputs})
    if case.parameters is None:
        return found
    window = case.parameters["window"]
    outputs = tuple(replace(output, minimum_bars=window) for output in found.outputs)
    return replace(found, parameters=case.parameters, outputs=outputs)


def last_digit(written: str) -> float:
    """A unit of it; of a number that goes on for as long as a double does, one that it can have.
    The zeros of a whole number may be left out."""
    decimals = len(written.split(".")[1]) if "." in written else 8
    return 10.0**-decimals + 1e-13 * max(1.0, abs(float(written)))


@pytest.mark.parametrize("name", TABLE)
def test_equals_the_published_values(name: str) -> None:
    """Every one that is published, but for those of days of which the column is NULL."""
    case = TABLE[name]
    rows = rows_of(case.file)
    indicator = indicator_of(case)
    ours = values(bars_of(rows), indicator, case.column)
    [minimum] = [out.minimum_bars for out in indicator.outputs if out.column == case.column]
    begun: tuple[int, float] | None = None
    compared = 0
    for day in range(max(case.faded, minimum - 1), len(rows)):
        published = rows[day].get(case.theirs)
        if not published:
            continue
        off = ours[day] - float(published)
        if case.fades is not None:
            begun = begun or (day, off)
            off -= begun[1] * case.fades ** (day - begun[0])
        assert abs(off) <= case.tolerance + last_digit(published), f"{rows[day]}: {ours[day]}"
        compared += 1
    assert compared >= LEAST.get(case.file, 6)


@pytest.mark.parametrize("name", BY_NAME)
def test_what_a_run_names_equals_the_published_values(name: str) -> None:
    case = BY_NAME[name]
    rows = rows_of(case.file)
    high, low, close = bars_of(rows)[:, 1:4].T
    [named] = extra.named([{"name": case.name, "parameters": case.parameters}])
    ours = extra.values(named, {"high": high, "low": low, "close": close})
    for output, theirs in case.theirs.items():
        for day in range(WINDOW, len(rows)):
            published = rows[day][theirs]
            off = float(ours[output][day]) - float(published)
            assert abs(off) <= last_digit(published), (output, rows[day])
    assert len(rows) >= WINDOW + 10


def test_equals_the_published_stochastic_rsi_smoothed() -> None:
    """StockCharts publishes it unsmoothed; the column is its mean of 3."""
    rows = rows_of("cs-stochrsi")
    indicator = next(row for row in REGISTRY if row.name == "stochastic_rsi")
    published = [float(row["StochRSI(14)"]) for row in rows if row["StochRSI(14)"]]
    ours = values(bars_of(rows), indicator, "stoch_rsi")[-3:]
    expected = [
        sum(published[end - 3 : end]) / 3 for end in range(len(published) - 2, len(published) + 1)
    ]
    assert ours == pytest.approx(expected, abs=1e-6)
