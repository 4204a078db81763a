"""The real series with known faults, as documents of the simulator's `/admin/series`.

Their files have split-adjusted prices; the vendor has raw ones. Raw open to close are those of the
mended twin times all later split ratios (of the faulty file itself where units are the fault),
adjusted closes, dividends and splits those of the file. See the data's README.
"""

import csv
import math
from pathlib import Path
from typing import Any

FAULTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "faults"


def names() -> list[str]:
    """Every file's name without its end; none where the data is absent."""
    return sorted(path.stem for path in FAULTS.glob("*.csv"))


def _rows(name: str) -> list[dict[str, str]]:
    """By ascending date, those without a close left out; `date` is the day."""
    with (FAULTS / f"{name}.csv").open(newline="") as file:
        rows = [
            row | {"date": (row.get("Date") or row["Datetime"])[:10]}
            for row in csv.DictReader(file)
        ]
    return sorted((row for row in rows if row["Close"]), key=lambda row: row["date"])


def document(name: str, ticker: str, **texts: str) -> dict[str, Any]:
    """The series of a file under a ticker; `texts` may give currency, name and type."""
    rows = _rows(name)
    twin = f"{name}-fixed"
    mended = "100x" not in name and (FAULTS / f"{twin}.csv").exists()
    prices = {row["date"]: row for row in (_rows(twin) if mended else rows)}
    splits = [(row["date"], float(row["Stock Splits"])) for row in rows]
    splits = [(day, ratio) for day, ratio in splits if ratio]
    bars = []
    for row in rows:
        later = math.prod(ratio for day, ratio in splits if day > row["date"])
        own = prices.get(row["date"], row)
        open_, high, low, close = (
            round(float(own[column]) * later, 4) for column in ("Open", "High", "Low", "Close")
        )
        bars.append(
            {
                "date": row["date"],
                "open": open_,
                "high": max(high, open_, close),
                "low": min(low, open_, close),
                "close": close,
                "adjusted_close": round(float(row["Adj Close"]), 4),
                "volume": int(float(own["Volume"] or 0)),
            }
        )
    return {
        "ticker": ticker,
        "bars": bars,
        "splits": [{"date": day, "split": f"{ratio!r}/1"} for day, ratio in splits],
        "dividends": [
            {"date": row["date"], "value": float(row["Dividends"])}
            for row in rows
            if float(row["Dividends"] or 0)
        ],
        **texts,
    }
