"""Core: rows as Postgres sends and takes them in binary, as numpy arrays.

Packed bars are what `read_bars.sql` makes of an asset's rows: one after another, no separators.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screener_analyzer.panel import Matrix

Days = NDArray[np.int32]
"""Dates as days since 2000-01-01, as Postgres counts them."""

EPOCH = np.datetime64("2000-01-01", "D")
NEVER = int(np.iinfo(np.int32).max)
"""After all `Days`."""

PACKED = np.dtype([("date", ">i4"), ("prices", ">f8", 5), ("volume", ">i8")])

_GROUP = 32
"""How many assets are unpacked at once."""
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_JSONB_VERSION = b"\x01"
_ROWS = 1024
"""How many rows are encoded at once."""


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
    lengths = np.array([count(each) for each in packed], dtype=np.intp)
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
    if np.isnan(fields[3]).any():
        fields[5, np.isnan(fields[3])] = np.nan
    values = fields.T
    begins = np.flatnonzero(dates[1:] <= dates[:-1]) + 1
    if not np.isin(begins, np.cumsum(lengths)).all():
        order = np.lexsort((dates, np.repeat(np.arange(len(lengths)), lengths)))
        dates, values = dates[order], fields[:, order].T
    return dates, values, lengths


def pack(dates: Days, values: Matrix) -> bytes:
    """The packed bars that `unpack` makes these of."""
    rows = np.empty(len(dates), PACKED)
    rows["date"], rows["prices"] = dates, values[:, :5]
    rows["volume"] = np.nan_to_num(values[:, 5])
    return rows.tobytes()


def count(packed: bytes) -> int:
    """How many packed bars they are."""
    return len(packed) // PACKED.itemsize


def last(
    dates: Days, values: Matrix, lengths: NDArray[np.intp], bars: int
) -> tuple[Days, Matrix, NDArray[np.intp]]:
    """At most the last `bars` of each asset."""
    if (lengths <= bars).all():
        return dates, values, lengths
    kept = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(dates)) <= bars
    return dates[kept], values.T[:, kept].T, np.minimum(lengths, bars)


def microseconds_of(when: dt.datetime) -> int:
    """The number that Postgres counts a timestamptz by."""
    since = when - dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
    return since // dt.timedelta(microseconds=1)


def timestamp(when: dt.datetime) -> bytes:
    """As Postgres takes a timestamptz."""
    return microseconds_of(when).to_bytes(8, "big", signed=True)


def encode(
    fields: Sequence[NDArray[Any]],
    alike: Sequence[bytes] = (),
    json: Sequence[bytes | None] | None = None,
    chosen: NDArray[np.intp] | None = None,
) -> Iterator[bytes]:
    """The input of a binary COPY, in parts: one array a column, int32 or float64 (NaN for NULL);
    then columns that are the same in every row, as Postgres takes their values; last, where it is
    given, a column of jsonb, one text a row (None for NULL). `chosen`: the numbers of the rows that
    are wanted, in the order in which they are (None: all)."""
    chosen = np.arange(len(fields[0])) if chosen is None else chosen
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for number, field in enumerate(fields):
        value = field.dtype.newbyteorder(">").str
        layout += [(f"size {number}", ">i4"), (f"value {number}", value)]
    dtype = np.dtype(layout)
    after = b"".join(len(value).to_bytes(4, "big") + value for value in alike)
    empty = np.zeros((), dtype)
    empty["fields"] = len(fields) + len(alike) + (json is not None)
    for number, field in enumerate(fields):
        empty[f"size {number}"] = field.itemsize
    line = np.frombuffer(empty.tobytes() + after, np.uint8)
    # Bytes, of which the fields are a view: numpy copies a row of a structure field by field.
    lines = np.empty((min(_ROWS, len(chosen)), len(line)), np.uint8)
    yield _HEADER
    for begin in range(0, len(chosen), _ROWS):
        part = chosen[begin : begin + _ROWS]
        now = lines[: len(part)]
        now[:] = line
        rows = now[:, : dtype.itemsize].view(dtype)[:, 0]
        kept: NDArray[np.bool_] | None = None
        for number, field in enumerate(fields):
            rows[f"value {number}"] = values = field[part]
            if (missing := np.isnan(values)).any():
                rows[f"size {number}"][missing] = -1
                offset = dtype.fields[f"value {number}"][1]  # type: ignore[index]
                kept = np.ones(now.shape, dtype=np.bool_) if kept is None else kept
                kept[missing, offset : offset + field.itemsize] = False
        if json is None:
            # Most parts have every value, and what is kept costs more than all else.
            yield now.tobytes() if kept is None else now[kept].tobytes()
        else:
            yield _with_texts(now, kept, [json[number] for number in part.tolist()])
    yield _TRAILER


def _with_texts(
    lines: NDArray[np.uint8], kept: NDArray[np.bool_] | None, texts: Sequence[bytes | None]
) -> bytes:
    """What is kept of each line (None: all), and its text."""
    out = bytearray()
    for number, (line, text) in enumerate(zip(lines, texts, strict=True)):
        out += (line if kept is None else line[kept[number]]).tobytes()
        if text is None:
            out += _NULL
        else:
            value = _JSONB_VERSION + text
            out += len(value).to_bytes(4, "big") + value
    return bytes(out)
