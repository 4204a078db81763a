"""Series that a test hands in, to be served under a code as if the vendor had them. Pure.

    {"ticker": "ABDP.LSE", "currency": "GBX", "name": "...", "type": "Common Stock",
     "bars": [{"date", "open", "high", "low", "close", "adjusted_close", "volume"}, ...],
     "splits": [{"date", "split": "4/1"}],
     "dividends": [{"date", "value" or "unadjustedValue", "currency"}]}

With `adjusted_close` in its bars a series is served as it is, cut at the data clock. Without, open
to close are raw and volumes as traded, and the vendor's adjustments are made as time goes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np

from screener_local.simulator.companies import RealAction
from screener_local.simulator.exchanges import EXCHANGES
from screener_local.simulator.market import Bars, Given
from screener_local.simulator.sessions import to_day

_FIELDS: Final = frozenset({"ticker", "currency", "name", "type", "bars", "splits", "dividends"})
_COLUMNS: Final = ("open", "high", "low", "close", "volume")


class BadSeries(ValueError):
    """A series that cannot be served; the message names the field."""


@dataclass(frozen=True)
class Series:
    """`currency`, `name` and `type` None are those of the listing, or of its exchange."""

    code: str
    exchange: str
    given: Given
    currency: str | None
    name: str | None
    type: str | None


def parse(document: Any) -> list[Series]:
    """The series of one object or of a list of them. Raises BadSeries."""
    parts = document if isinstance(document, list) else [document]
    return [_parse_one(part) for part in parts]


def _parse_one(part: Any) -> Series:
    if not isinstance(part, dict):
        raise BadSeries("a series is an object")
    unknown = sorted(set(part) - _FIELDS)
    if unknown:
        raise BadSeries(
            f"{unknown[0]}: no field of a series; there are {', '.join(sorted(_FIELDS))}"
        )
    code, _, suffix = str(part.get("ticker", "")).rpartition(".")
    if not code or suffix not in EXCHANGES:
        raise BadSeries("ticker: a code and an exchange, such as ABDP.LSE")
    bars = _bars(part.get("bars"))
    splits = [_split(row) for row in _rows("splits", part.get("splits"))]
    dividends = [_dividend(row, splits) for row in _rows("dividends", part.get("dividends"))]
    actions = tuple(sorted([*splits, *dividends], key=lambda action: action.day))
    given = Given(bars, not bool(np.isnan(bars.adjusted).any()), actions)
    texts = {name: part.get(name) for name in ("currency", "name", "type")}
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise BadSeries(f"{name}: a text")
    return Series(code, suffix, given, texts["currency"], texts["name"], texts["type"])


def _rows(name: str, value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value or [], list) or not all(isinstance(row, dict) for row in value or []):
        raise BadSeries(f"{name}: a list of objects")
    return list(value or [])


def _day(name: str, row: Mapping[str, Any]) -> int:
    try:
        return to_day(date.fromisoformat(row["date"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadSeries(f"{name}.date: a day such as 2023-09-19") from error


def _bars(value: Any) -> Bars:
    rows = sorted(_rows("bars", value), key=lambda row: str(row.get("date")))
    if not rows:
        raise BadSeries("bars: at least one")
    days = np.array([_day("bars", row) for row in rows], dtype=np.int64)
    if (np.diff(days) <= 0).any():
        raise BadSeries("bars.date: one bar a day")

    def column(name: str) -> Any:
        try:
            return np.array([float(f"{float(row[name]):.12g}") for row in rows])
        except (KeyError, TypeError, ValueError) as error:
            raise BadSeries(f"bars.{name}: a number in every row") from error

    open_, high, low, close, volume = (column(name) for name in _COLUMNS)
    has_adjusted = all("adjusted_close" in row for row in rows)
    adjusted = column("adjusted_close") if has_adjusted else np.full(len(rows), math.nan)
    return Bars(days, open_, high, low, close, adjusted, volume)


def _split(row: Mapping[str, Any]) -> RealAction:
    try:
        new, old = (float(part) for part in str(row.get("split")).split("/"))
    except ValueError as error:
        raise BadSeries("splits.split: new and old shares, such as 4/1") from error
    if not (new > 0 and old > 0):
        raise BadSeries("splits.split: new and old shares, such as 4/1")
    return RealAction(_day("splits", row), new=new, old=old)


def _dividend(row: Mapping[str, Any], splits: list[RealAction]) -> RealAction:
    day = _day("dividends", row)
    raw, adjusted = row.get("unadjustedValue"), row.get("value")
    given = adjusted if raw is None else raw
    if isinstance(given, bool) or not isinstance(given, int | float) or not given > 0:
        raise BadSeries("dividends.value: a number above 0")
    later = math.prod(split.new / split.old for split in splits if split.day > day)
    amount = float(given) if raw is not None else float(given) * later
    return RealAction(day, amount=amount, currency=str(row.get("currency") or ""))
