"""Series to judge: the real ones with faults in the vendor's form, and made ones with none."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from screener_collector.bars import Bars
from screener_collector.rules.model import Actions

FAULTS = Path(__file__).parents[2] / "shared" / "data" / "faults"

FAULTY = {
    "1398-HK-1d-bad-div": {"dividend_not_adjusted": ["2024-07-08"]},
    "4063-T-1d-bad-div": {"dividend_mismatch": ["2023-03-30"]},
    "4063-T-1d-bad-stock-split": {"split_misapplied": ["2023-03-30"]},
    "8TRA-DE-1d-missing-div-adjust": {"dividend_not_adjusted": ["2023-06-02"]},
    "ABDP-L-1d-bad-div": {
        "dividend_unit": ["2022-05-05", "2022-12-29", "2023-05-04", "2024-02-08", "2024-05-02"]
    },
    "ADIG-L-1d-bad-div": {
        "dividend_unit": [
            *("2022-03-03", "2022-06-16", "2022-09-22", "2022-12-22", "2023-03-09", "2023-06-08"),
            *("2023-09-21", "2023-11-02", "2023-12-21", "2024-03-07", "2024-07-03"),
        ]
    },
    "AET-L-1d-100x-error": {"unit_switch": ["2022-05-03", "2022-05-20"]},
    "REL-L-1d-bad-div": {
        "dividend_unit": ["2022-04-28", "2022-08-04", "2023-04-27", "2023-08-03", "2024-05-02"],
        "dividend_not_adjusted": ["2024-08-01"],
    },
    "RGL-L-1d-bad-div": {
        "dividend_unit": [
            *("2022-03-03", "2022-06-01", "2022-09-01", "2022-11-17", "2023-03-02"),
            *("2023-06-01", "2023-09-21", "2023-11-16", "2024-02-29", "2024-05-30"),
        ]
    },
    "SAND-1d-bad-div": {
        "dividend_not_adjusted": ["2024-01-12"],
        "dividend_repeated": ["2024-01-12"],
        "dividend_adjusted_twice": ["2024-01-16"],
    },
    "SERE-L-1d-bad-div": {
        "dividend_unit": [
            *("2022-03-31", "2022-07-14", "2022-09-08", "2022-12-29", "2023-04-13"),
            *("2023-07-20", "2023-10-19", "2023-12-28", "2024-04-11", "2024-07-11"),
        ]
    },
    "SPM-MI-1d-bad-stock-split": {"split_misapplied": ["2022-06-13"]},
    "TEP-PA-1d-bad-div": {"dividend_repeated": ["2023-04-20"]},
}
"""By file the rules that its faults break, and the days of their causes."""

STILL_FAULTY = {"SAND-1d-bad-div-fixed": {"dividend_adjusted_twice": ["2024-01-16"]}}
"""Twins that hold a real fault: SAND's second record of one dividend is gone, but the adjusted
close still shows the dividend of 0.015 of 2024-01-16 as 0.030."""


@dataclass(frozen=True)
class Asset:
    """Bars in the vendor's form, and the actions on record."""

    bars: Bars
    actions: Actions


def read_yahoo(name: str) -> list[dict[str, str]]:
    """Rows by ascending date, those without a close left out; `date` is the day."""
    with (FAULTS / f"{name}.csv").open(newline="") as file:
        rows = [
            {**row, "date": (row.get("Date") or row["Datetime"])[:10]}
            for row in csv.DictReader(file)
        ]
    return sorted((row for row in rows if row["Close"]), key=lambda row: row["date"])


def vendor_form(name: str, *, own: bool = False, decimals: int | None = 4) -> Asset:
    """A file of shared data as the vendor would serve it; `own`: a twin, with its own adjusted.

    Open to close raw: split-adjusted prices of the twin times all later ratios (of the faulty file
    where units are the fault); adjusted close and dividends those of the file.
    """
    rows = read_yahoo(name)
    prices = rows
    if not own and "100x" not in name:
        prices = read_yahoo(f"{name}-fixed") if (FAULTS / f"{name}-fixed.csv").exists() else rows
    by_date = {row["date"]: row for row in prices}
    days = [row["date"] for row in rows]
    splits = [
        (row["date"], float(row["Stock Splits"])) for row in rows if float(row["Stock Splits"])
    ]
    later = np.array([math.prod(ratio for day, ratio in splits if day > at) for at in days])
    columns = {
        column: np.array([float(by_date[at][column]) for at in days]) * later
        for column in ("Open", "High", "Low", "Close")
    }
    adjusted = np.array([float(row["Adj Close"]) for row in rows])
    volume = np.array([float(by_date[at]["Volume"]) for at in days])
    actions = [(date.fromisoformat(at), ratio, math.nan, math.nan) for at, ratio in splits] + [
        (
            date.fromisoformat(row["date"]),
            math.nan,
            float(row["Dividends"]) * float(ratio),
            float(row["Dividends"]),
        )
        for row, ratio in zip(rows, later, strict=True)
        if float(row["Dividends"])
    ]
    o, h, l, c = (columns[name] for name in ("Open", "High", "Low", "Close"))  # noqa: E741
    return Asset(
        make_bars(
            days,
            o,
            np.maximum(h, np.maximum(o, c)),
            np.minimum(l, np.minimum(o, c)),
            c,
            adjusted,
            volume,
            decimals,
        ),
        Actions.of(actions),
    )


def make_bars(
    days: Sequence[str] | NDArray[np.datetime64],
    open_: NDArray[np.float64],
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    close: NDArray[np.float64],
    adjusted: NDArray[np.float64],
    volume: NDArray[np.float64] | NDArray[np.int64],
    decimals: int | None = 4,
) -> Bars:
    """Bars of columns, rounded as served."""

    def served(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values.copy() if decimals is None else np.round(values, decimals)

    return Bars(
        np.array(days, "datetime64[D]"),
        served(open_),
        served(high),
        served(low),
        served(close),
        served(adjusted),
        np.array(volume, np.int64),
    )


def replaced(bars: Bars, **columns: NDArray[np.float64] | NDArray[np.int64]) -> Bars:
    """The bars with some columns exchanged."""
    names = ("dates", "open", "high", "low", "close", "adjusted_close", "volume")
    return Bars(*(columns.get(name, getattr(bars, name)) for name in names))


def rules_of(findings: Sequence[object]) -> Mapping[str, int]:
    """How many findings of each rule."""
    counts: dict[str, int] = {}
    for finding in findings:
        rule = finding.rule  # type: ignore[attr-defined]
        counts[rule] = counts.get(rule, 0) + 1
    return counts
