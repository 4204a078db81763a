"""Adapter: what is carried of columns that add up, in `indicator_states`.

A row stands for the bars up to its last one as they are stored: whoever changes those takes it
away. So a state is stored only where the one that it goes on from, or that was begun when all bars
were read, is still there.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import TupleRow

from screener_analyzer import columns
from screener_analyzer.binary import Days
from screener_analyzer.panel import STATE, Matrix
from screener_analyzer.states import States
from screener_sql import query

_PACKED = np.dtype(
    [
        ("asset_id", ">i4"),
        ("last_bar", ">i4"),
        ("read_at", ">i8"),
        ("values", ">f8", len(STATE)),
    ]
)


@dataclass(frozen=True, eq=False, slots=True)
class Known:
    """Stored states, one an asset."""

    asset_ids: NDArray[np.int32]
    last_bars: Days
    read_at: NDArray[np.int64]
    """What tells each from another of the same asset: `binary.microseconds_of` a moment."""
    values: Matrix
    """(STATE, assets)"""

    @classmethod
    def none(cls) -> "Known":
        """Of no asset."""
        return cls.unpacked(b"")

    @classmethod
    def unpacked(cls, packed: bytes) -> "Known":
        """Of what `read_states` gives."""
        rows = np.frombuffer(packed, _PACKED)
        return cls(
            rows["asset_id"].astype(np.int32),
            rows["last_bar"].astype(np.int32),
            rows["read_at"].astype(np.int64),
            rows["values"].T.astype(np.float64),
        )


class StateStore:
    """In the transactions of one connection."""

    def __init__(self, connection: psycopg.Connection[TupleRow], execution_id: str) -> None:
        self._connection = connection
        self._execution_id = execution_id

    def known(self, asset_ids: list[int]) -> Known:
        """What is stored of these assets, of those of which something is."""
        with self._connection.cursor(binary=True) as cursor:
            row = cursor.execute(
                query("analyzer/read_states"), {"asset_ids": columns.integers(asset_ids)}
            ).fetchone()
        assert row is not None, "an aggregate gives a row"
        return Known.unpacked(row[0])

    def begin(self, last_bars: Mapping[int, int], read_at: dt.datetime) -> None:
        """Notes, by asset, the day up to which all bars were read, in the transaction that read
        them."""
        self._connection.execute(
            query("analyzer/begin_states"),
            {
                "asset_ids": columns.integers(list(last_bars)),
                "last_bars": columns.dates(list(last_bars.values())),
                "read_at": read_at,
            },
        )

    def keep(self, states: States, since: Mapping[int, int], read_at: dt.datetime) -> None:
        """Stores states, of bars read at `read_at`, in the open transaction. `since`: by asset,
        which stored or begun one it goes on from, as `Known.read_at`; others are not stored."""
        kept = states.of(since)
        if not len(kept.asset_ids):
            return
        values = {name: columns.floats(line) for name, line in zip(STATE, kept.values, strict=True)}
        self._connection.execute(
            query("analyzer/keep_states"),
            {
                "execution_id": self._execution_id,
                "read_at": read_at,
                "asset_ids": columns.integers(kept.asset_ids),
                "last_bars": columns.dates(kept.last_bars),
                "since": columns.moments([since[asset_id] for asset_id in kept.asset_ids.tolist()]),
                **values,
            },
        )
