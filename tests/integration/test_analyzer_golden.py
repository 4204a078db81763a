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
}


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
        close = float(row["Close"] or row["Low"])
        high, low = float(row.get("High") or close), float(row.get("Low") or close)
        bars.append((close, high, low, close, close, 0.0))
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
    assert compared >= 5


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
