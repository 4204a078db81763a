"""Core: rows as Postgres sends and takes them in binary, as numpy arrays.

Packed bars are what `read_bars.sql` makes of an asset's rows: one after another, no separators.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.panel import Matrix

Days = NDArray[np.int32]
"""Dates as days since 2000-01-01, as Postgres counts them."""

EPOCH = np.datetime64("2000-01-01", "D")

PACKED = np.dtype([("date", ">i4"), ("prices", ">f8", 5), ("volume", ">i8")])

_GROUP = 32
"""How many assets are unpacked at once."""
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_JSONB_VERSION = b"\x01"


def day_of(days: int) -> dt.date:
    """The date of a number of `Days`."""
    return dt.date(2000, 1, 1) + dt.timedelta(days=int(days))


def days_of(day: dt.date) -> int:
    """The number of `Days` of a date."""
    return (day - dt.date(2000, 1, 1)).days


def unpack(packed: Sequence[bytes]) -> tuple[Days, Matrix, NDArray[np.intp]]:
    """Bars of assets, one bytes an asset -> dates, (bars, open high low close adj_close volume),
    bars of each asset. Each asset's bars ascend by date, whatever order they came in; one whose
    close is NaN has no volume either. A field's values are beside each other in memory."""
    lengths = np.array([len(each) // PACKED.itemsize for each in packed], dtype=np.intp)
    dates = np.empty(lengths.sum(), dtype=np.int32)
    fields = np.empty((6, len(dates)))
    begin = 0
    # Few at once, which stay in the processor's cache.
    for at in range(0, len(packed), _GROUP):
        rows = np.frombuffer(b"".join(packed[at : at + _GROUP]), PACKED)
        part = slice(begin, begin + len(rows))
        dates[part] = rows["date"]
        for field, column in zip(fields, rows["prices"].T, strict=False):
            field[part] = column
        fields[5, part] = rows["volume"]
        begin = part.stop
    fields[5, np.isnan(fields[3])] = np.nan
    values = fields.T
    assets = np.repeat(np.arange(len(lengths)), lengths)
    if ((np.diff(dates) <= 0) & (np.diff(assets) == 0)).any():
        order = np.lexsort((dates, assets))
        dates, values = dates[order], fields[:, order].T
    return dates, values, lengths


def count_before(packed: bytes, day: int) -> int:
    """How many of an asset's packed bars are of days before this one."""
    return int(np.count_nonzero(np.frombuffer(packed, PACKED)["date"] < day))


def last(
    dates: Days, values: Matrix, lengths: NDArray[np.intp], bars: int, since: int | None = None
) -> tuple[Days, Matrix, NDArray[np.intp]]:
    """At most the last `bars` of each asset; with those since a day, at most so many before it."""
    counts = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(dates))
    kept = counts <= bars
    if since is not None:
        later = dates >= since
        of_asset = np.repeat(np.arange(len(lengths)), lengths)
        kept = counts <= bars + np.bincount(of_asset[later], minlength=len(lengths))[of_asset]
    if kept.all():
        return dates, values, lengths
    before = np.concatenate([[0], np.cumsum(kept)])
    ends = np.cumsum(lengths)
    return dates[kept], values[kept], before[ends] - before[ends - lengths]


def encode(fields: Sequence[NDArray[Any]], json: Sequence[bytes | None] | None = None) -> bytes:
    """One array a column, int32 or float64, NaN for NULL, and last a column of jsonb, one text a
    row (None for NULL; without `json`, NULL everywhere) -> the whole input of a binary COPY."""
    rows = len(fields[0])
    width = 2 + sum(4 + field.itemsize for field in fields) + 4
    out = np.empty((rows, width), dtype=np.uint8)
    kept = np.ones((rows, width), dtype=np.bool_)
    out[:, :2] = _bytes(np.full(rows, len(fields) + 1, dtype=">i2"))
    at = 2
    for field in fields:
        size = field.itemsize
        empty = np.isnan(field) if field.dtype.kind == "f" else np.zeros(rows, dtype=np.bool_)
        out[:, at : at + 4] = _bytes(np.where(empty, -1, size).astype(">i4"))
        out[:, at + 4 : at + 4 + size] = _bytes(field.astype(field.dtype.newbyteorder(">")))
        kept[:, at + 4 : at + 4 + size] = ~empty[:, np.newaxis]
        at += 4 + size
    sizes = np.full(rows, -1, dtype=">i4")
    if json is not None:
        sizes[:] = [-1 if text is None else len(_JSONB_VERSION) + len(text) for text in json]
    out[:, at:] = _bytes(sizes)
    fixed = out[kept].tobytes()
    if json is None:
        return _HEADER + fixed + _TRAILER
    parts = [_HEADER]
    begin = 0
    for text, end in zip(json, kept.sum(axis=1).cumsum().tolist(), strict=True):
        parts += [fixed[begin:end], b"" if text is None else _JSONB_VERSION + text]
        begin = end
    return b"".join([*parts, _TRAILER])


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), values.itemsize)
