"""Adapter: columns of many rows as parameters of a statement: arrays in Postgres' binary format,
made at once rather than value by value.

The statement casts each to the type of its array.
"""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import psycopg
from numpy.typing import ArrayLike
from psycopg.adapt import Dumper
from psycopg.pq import Format

_INT4, _INT8, _FLOAT8, _TEXT, _DATE, _TIMESTAMPTZ = 23, 20, 701, 25, 1082, 1184
"""Of the elements, in Postgres' catalogue."""
_NULL = struct.pack(">i", -1)


class Column(bytes):
    """An array as Postgres reads it."""


class _ColumnDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Column) -> bytes:
        return obj


def understood_by(connection: psycopg.Connection[Any]) -> None:
    """Lets the connection's statements take columns as parameters."""
    connection.adapters.register_dumper(Column, _ColumnDumper)


def integers(values: ArrayLike) -> Column:
    """An integer[]."""
    return _numbers(_INT4, values, ">i4")


def bigints(values: ArrayLike) -> Column:
    """A bigint[]."""
    return _numbers(_INT8, values, ">i8")


def floats(values: ArrayLike) -> Column:
    """A double precision[]; NaN stays NaN."""
    return _numbers(_FLOAT8, values, ">f8")


def dates(days: ArrayLike) -> Column:
    """A date[] of `binary.Days`."""
    return _numbers(_DATE, days, ">i4")


def moments(values: ArrayLike) -> Column:
    """A timestamptz[] of `binary.microseconds_of` moments."""
    return _numbers(_TIMESTAMPTZ, values, ">i8")


def texts(values: Sequence[str | None]) -> Column:
    """A text[]; None for NULL."""
    parts = []
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            text = value.encode()
            parts += [struct.pack(">i", len(text)), text]
    return _array(_TEXT, len(values), b"".join(parts), has_nulls=None in values)


def _numbers(element: int, values: ArrayLike, dtype: str) -> Column:
    numbers = np.asarray(values)
    items = np.empty(len(numbers), [("size", ">i4"), ("value", dtype)])
    items["size"] = items.dtype["value"].itemsize
    items["value"] = numbers
    return _array(element, len(items), items.tobytes())


def _array(element: int, length: int, items: bytes, *, has_nulls: bool = False) -> Column:
    if not length:
        return Column(struct.pack(">iii", 0, 0, element))
    return Column(struct.pack(">iiiii", 1, has_nulls, element, length, 1) + items)
