"""Core: arrays that begin on a line of the processor's cache.

numpy's own begin 16 bytes into one where they are large. Every read of a vector is of two lines
then, and to add rows that are in the cache takes twice as long.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LINE = 64
"""Bytes of a line of the cache, and of the widest vector."""

Shape = int | tuple[int, ...]


def empty(shape: Shape, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """As `np.empty`."""
    size = prod(shape if isinstance(shape, tuple) else (shape,)) * np.dtype(dtype).itemsize
    room = np.empty(size + _LINE, dtype=np.uint8)
    begin = -room.ctypes.data % _LINE
    return room[begin : begin + size].view(dtype).reshape(shape)


def full(shape: Shape, value: float) -> NDArray[np.float64]:
    """As `np.full`."""
    out = empty(shape)
    out.fill(value)
    return out


def zeros(shape: Shape) -> NDArray[np.float64]:
    """As `np.zeros`."""
    return full(shape, 0.0)
