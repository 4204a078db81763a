"""Random numbers by position instead of by sequence: the same key, stream and index give the same
number.

So any range of any asset can be computed alone, in any order, and always agrees with the whole.
Pure; integer arithmetic only, hence the same on every machine.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

#: Days after which the walk is pinned to a slow, bounded level (2**PIN_BITS, about five and a half
#: years).
PIN_BITS = 11

_WALK_STREAM = 1000


def key_of(*parts: object) -> int:
    """A 64-bit key for anything that has a name, for example ``key_of(seed, "US", "AAPL")``."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def keys_of(seed: int, scope: str, names: list[str]) -> Keys:
    """One key a name."""
    return np.array([key_of(seed, scope, name) for name in names], dtype=np.uint64)


def _mix(value: Keys) -> Keys:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def bits(key: Keys, stream: int, index: Any) -> Keys:
    """64 random bits for each broadcast pair of key and index (index ≥ 0)."""
    position = np.atleast_1d(index).astype(np.uint64)
    salted = _mix(position * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream * 2 + 1))
    mixed: Keys = _mix(np.atleast_1d(key) ^ salted)
    return mixed


def uniform(key: Keys, stream: int, index: Any = 0) -> Floats:
    """Uniform in [0, 1)."""
    return (bits(key, stream, index) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(key: Keys, stream: int, index: Any = 0) -> Floats:
    """Nearly normal, mean 0, variance 1, never beyond ±3.5 (the sum of four uniforms)."""
    value = bits(key, stream, index)
    low = np.uint64(0xFFFF)
    total = (
        (value & low)
        + ((value >> np.uint64(16)) & low)
        + ((value >> np.uint64(32)) & low)
        + (value >> np.uint64(48))
    )
    centred: Floats = (total.astype(np.float64) / 65536.0 - 2.0 + 2.0 / 65536.0) * 3.0**0.5
    return centred


def walk(key: Keys, day: Any) -> Floats:
    """A random walk with variance 1 a day, evaluated at any day ≥ 0 without the days before it.

    Lévy's construction: tents over halves, quarters, eighths of a span, so steps of neighbouring
    days are independent; spans of 2**PIN_BITS days hang on slow, bounded levels, so that no price
    runs away in thirty years.
    """
    days = np.asarray(day, dtype=np.int64)
    span = 1 << PIN_BITS
    block = days >> PIN_BITS
    share = (days & (span - 1)) / span
    left = _levels(key, _WALK_STREAM, block)
    right = _levels(key, _WALK_STREAM, block + 1)
    value: Floats = (left * (1.0 - share) + right * share) * (span**0.5 * 0.5)
    for level in range(1, PIN_BITS + 1):
        width = 1 << level
        inside = days & (width - 1)
        tent = 1.0 - np.abs(2.0 * inside / width - 1.0)
        level_of = _levels(key, _WALK_STREAM + level, days >> level)
        value = value + level_of * tent * (width**0.5 * 0.5)
    return value


def _levels(key: Keys, stream: int, index: Ints) -> Floats:
    """`normal`, made once for each distinct index where many days of one key share few of them."""
    if key.size == 1 and index.size > 32:
        low = int(index.min())
        count = int(index.max()) - low + 1
        if count < index.size:
            return normal(key, stream, np.arange(low, low + count))[index - low]
    return normal(key, stream, index)
