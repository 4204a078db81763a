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
from screener_analyzer.binary import days_of
from screener_analyzer.panel import STATE
from screener_analyzer.states import States
from screener_sql import query


@dataclass(frozen=True, eq=False, slots=True)
class Known:
    """A stored state."""

    last_bar: int
    """In `binary.Days`."""
    read_at: dt.datetime
    """What tells it from another of the same asset."""
    values: NDArray[np.float64]
    """(STATE,)"""


class StateStore:
    """In the transactions of one connection."""

    def __init__(self, connection: psycopg.Connection[TupleRow], execution_id: str) -> None:
        self._connection = connection
        self._execution_id = execution_id

    def known(self, asset_ids: list[int]) -> dict[int, Known]:
        """What is stored, by asset."""
        with self._connection.cursor(binary=True) as cursor:
            rows = cursor.execute(
                query("analyzer/read_states"), {"asset_ids": asset_ids}
            ).fetchall()
        return {
            asset_id: Known(days_of(last_bar), read_at, np.array(values))
            for asset_id, last_bar, read_at, values in rows
        }

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

    def keep(self, states: States, since: Mapping[int, dt.datetime], read_at: dt.datetime) -> None:
        """Stores states, of bars read at `read_at`, in the open transaction. `since`: by asset,
        which stored or begun one it goes on from; others are not stored."""
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
                "since": columns.moments(since[asset_id] for asset_id in kept.asset_ids.tolist()),
                **values,
            },
        )
