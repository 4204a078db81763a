"""Values that others have published, each to its own rounding.

The files are an optional folder beside the project; without it these tests are skipped. Every value
is computed as the last row of the bars up to its day. Some files were made with other parameters
than the registry's; the table names them.
"""

import csv
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
    tolerance: float
    """Half a unit of the published last digit, times what earlier roundings add up to."""
    parameters: dict[str, Any] | None = None
    first: int = 0
    """Rows before it are not comparable."""
    last: int = 15
    """How many rows from the end are compared."""
    least: int = 5
    """How many values are published at least."""


TABLE = {
    "RSI": Published("cs-rsi", "rsi_14", "RSI", 1e-5, first=14),
    "ADX": Published("cs-adx", "adx", "ADX", 1e-6, last=12),
    "+DI": Published("cs-adx", "dmi_plus", "+DI14", 1e-6, last=12),
    "-DI": Published("cs-adx", "dmi_minus", "-DI14", 1e-6, last=12),
    "ATR of 10": Published("cs-atr2", "atr_14", "ATR", 1e-12, {"window": 10}, first=9),
    "ATR of 14": Published("cs-atr", "atr_14", "ATR", 1e-8, first=13),
    "MACD": Published("cs-macd", "macd", "MACD_line", 1e-8, first=25),
    "MACD signal": Published("cs-macd", "macd_signal", "MACD_signal", 1e-3, last=5),
    "MACD histogram": Published("cs-macd", "macd_histogram", "MACD_diff", 1e-3, last=5),
    "CCI": Published("cs-cci", "cci_20", "CCI", 5e-2),
    "PSAR": Published("cs-psar", "sar", "psar", 1e-7, first=2),
    "Bollinger middle": Published("cs-bbands", "bb_middle", "MiddleBand", 1e-6),
    "Bollinger deviation": Published("cs-bbands", "std_dev", "20-day Standard Deviation", 1e-6),
    "Bollinger upper": Published("cs-bbands", "bb_upper", "HighBand", 2e-6),
    "Bollinger lower": Published("cs-bbands", "bb_lower", "LowBand", 2e-6),
    "Bollinger width": Published("cs-bbands", "bb_bandwidth", "WidthBand", 2e-6),
    "stochastic %K": Published("cs-soo", "stoch_k", "SO", 1e-6, first=13),
    "stochastic %D": Published("cs-soo", "stoch_d", "SO_SIG", 1e-6, first=15),
    "WMA of 9": Published("cs-wma", "wma_20", "WMA", 5e-5, {"window": 9}, first=8),
    "KAMA": Published("cs-kama", "kama_10", "KAMA", 1e-6, first=9, last=41),
    # It begins its means with simple ones, which fades: 505 bars are published.
    "TSI": Published("cs-tsi", "tsi", "TSI", 5e-3, last=10),
    "ulcer index": Published("cs-ui", "ulcer_index", "ulcer_index", 1e-9, least=1),
    "ultimate oscillator": Published("cs-ultosc", "ultimate_oscillator", "Ult_Osc", 1e-6, least=2),
    "vortex +": Published("cs-vortex", "vortex_plus", "+VI14", 1e-6),
    "vortex -": Published("cs-vortex", "vortex_minus", "-VI14", 1e-6),
    "VPT": Published("cs-vpt", "vpt", "unsmoothed vpt", 1e-9, last=31),
    "VWAP": Published("cs-vwap", "vwap_14", "vwap", 1e-12, first=13, last=31),
    "OBV": Published("cs-obv", "obv", "OBV", 0.0, last=31),
    "money flow index": Published("cs-mfi", "mfi_14", "MFI", 1e-5),
    "Donchian upper": Published("cs-dc", "donchian_upper", "upper_band", 1e-9, last=11),
    "Donchian middle": Published("cs-dc", "donchian_middle", "middle_band", 5.1e-3, last=11),
    "Donchian lower": Published("cs-dc", "donchian_lower", "lower_band", 1e-9, last=11),
    "Donchian width": Published("cs-dc", "donchian_width", "dc_band_width", 1e-8, last=11),
    "Donchian place": Published("cs-dc", "donchian_percent", "dc_percentage", 1e-9, last=11),
    "ease of movement": Published("cs-easeofmovement", "ease_of_movement", "EMV", 1e-9),
    "its mean": Published("cs-easeofmovement", "ease_of_movement_14", "SMA_EMV", 1e-9),
    "force index": Published("cs-fi", "force_index_13", "FI", 1e-5, first=13),
    "Williams %R": Published("cs-percentr", "williams_r", "Williams_%R", 1e-6),
    "PPO": Published("cs-ppo", "ppo", "PPO", 1e-9, first=25),
    "PVO": Published("cs-pvo", "pvo", "PVO", 1e-8, first=25),
    "rate of change": Published("cs-roc", "roc_12", "ROC", 1e-8, last=8),
    "Schaff trend cycle": Published("cs-stc", "stc", "stc", 1e-8, last=10),
    "accumulation/distribution": Published("cs-accum", "adi", "ADLine", 1e-4, last=31),
    "stochastic RSI": Published("cs-stochrsi", "stoch_rsi_raw", "StochRSI(14)", 1e-7),
    "Bollinger %B": Published("cs-bbands", "bb_percent", "PercentageBand", 1e-6),
}


HAS = {name for each in ("high", "low", "close", "volume") for name in (each, each.title())}


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


def last_value(bars: Matrix, indicator: Indicator, column: str) -> float:
    return float(compute(panel(bars, [len(bars)]), [indicator])[column][0, 0])


def indicator_of(case: Published) -> Indicator:
    found = next(row for row in REGISTRY if case.column in {out.column for out in row.outputs})
    if case.parameters is None:
        return found
    window = case.parameters["window"]
    outputs = tuple(replace(output, minimum_bars=window) for output in found.outputs)
    return replace(found, parameters=case.parameters, outputs=outputs)


@pytest.mark.parametrize("name", TABLE)
def test_equals_the_published_values(name: str) -> None:
    case = TABLE[name]
    rows = rows_of(case.file)
    bars = bars_of(rows)
    indicator = indicator_of(case)
    compared = 0
    for day in range(max(case.first, len(rows) - case.last), len(rows)):
        published = rows[day].get(case.theirs)
        if not published:
            continue
        ours = last_value(bars[: day + 1], indicator, case.column)
        assert math.isclose(ours, float(published), rel_tol=0, abs_tol=case.tolerance), (
            f"{rows[day]}: {ours}"
        )
        compared += 1
    assert compared >= case.least


def test_equals_the_published_stochastic_rsi_smoothed() -> None:
    """StockCharts publishes it unsmoothed; the column is its mean of 3."""
    rows = rows_of("cs-stochrsi")
    indicator = next(row for row in REGISTRY if row.name == "stochastic_rsi")
    published = [float(row["StochRSI(14)"]) for row in rows if row["StochRSI(14)"]]
    bars = bars_of(rows)
    ours = [
        last_value(bars[:length], indicator, "stoch_rsi")
        for length in range(len(rows) - 2, len(rows) + 1)
    ]
    expected = [
        sum(published[end - 3 : end]) / 3 for end in range(len(published) - 2, len(published) + 1)
    ]
    assert ours == pytest.approx(expected, abs=1e-6)
