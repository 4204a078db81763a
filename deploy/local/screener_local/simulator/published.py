"""What the vendor has published last, as of its data clock: the truth that a client's tables are
compared with. Pure over the world.

Bars come by code as columns, so that a year of a small exchange is one answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from screener_local.simulator.answers import split_text
from screener_local.simulator.market import Bars
from screener_local.simulator.sessions import to_date
from screener_local.simulator.shown import View

_COLUMNS: Final = {
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "adjusted_close": "adjusted",
    "volume": "volume",
}
#: A day of all assets costs about as much as the histories of so many.
_DAY_IN_HISTORIES: Final = 40


def published(view: View, low: int, high: int, codes: frozenset[str] | None) -> dict[str, Any]:
    """Bars, splits and dividends with low ≤ day ≤ high; `codes` None is all that are there.

    {"bars": {code: {"date": [...], "open": [...], ...}}, "splits": [{"code", "date", "split"}],
    "dividends": [{"code", "date", "value", "unadjustedValue", "currency"}],
    "listed": [codes], "delisted": [codes], "sessions": [dates]}, all ascending.
    """
    rows = [(at, row) for at, row in view.listed() if codes is None or row.code in codes]
    days = [day for day in view.sessions.days.tolist() if low <= day <= high]
    days = [day for day in days if view.is_published(day)]
    if len(rows) <= _DAY_IN_HISTORIES * len(days) / 10:
        bars = {at: view.history(at, low, high) for at, _ in rows}
    else:
        bars = _by_asset(view, days)
    out: dict[str, Any] = {
        "exchange": view.exchange.code,
        "bars": {row.code: _shown(bars[at]) for at, row in rows if at in bars and len(bars[at])},
        "splits": [
            {"code": row.code, "date": _date(item.day), "split": split_text(item)}
            for at, row in rows
            for item in view.splits(at)
            if low <= item.day <= high
        ],
        "dividends": [
            {
                "code": row.code,
                "date": _date(item.day),
                "value": round(item.adjusted, 6),
                "unadjustedValue": round(item.amount, 6),
                "currency": item.currency or row.currency,
            }
            for at, row in rows
            for item in view.dividends(at)
            if low <= item.day <= high
        ],
        "listed": [row.code for _, row in rows if not row.delisted],
        "delisted": [row.code for _, row in rows if row.delisted],
        "sessions": [_date(day) for day in days],
    }
    return out


def _by_asset(view: View, days: Iterable[int]) -> dict[int, Bars]:
    """The histories of all assets, from their days."""
    parts = [(day, view.day(day)) for day in days]
    if not parts:
        return {}
    asset = np.concatenate([bars.at for _, bars in parts])
    day = np.concatenate([np.full(len(bars), day, dtype=np.int64) for day, bars in parts])
    order = np.lexsort((day, asset))
    columns = [
        np.concatenate([getattr(bars, name) for _, bars in parts])[order]
        for name in _COLUMNS.values()
    ]
    asset, day = asset[order], day[order]
    every = Bars(day, *columns)
    edges = np.flatnonzero(np.diff(asset)) + 1
    starts = [0, *edges.tolist()]
    ends = [*edges.tolist(), len(asset)]
    return {
        int(asset[start]): every.where(slice(start, end))
        for start, end in zip(starts, ends, strict=True)
        if end > start
    }


def _shown(bars: Bars) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {"date": [_date(day) for day in bars.at.tolist()]}
    for name, column in _COLUMNS.items():
        out[name] = getattr(bars, column).tolist()
    return out


def _date(day: int) -> str:
    return to_date(day).isoformat()
