"""Adapter: the last bars of assets in one piece each, in `bar_blocks`.

A block is of the bars up to its last day as they are stored, and has what was carried (`walked`)
beside it: it goes with its asset's state when anybody changes those bars. Later ones are read
besides, until they are many and it is made anew. Of a block with what was carried the end is enough
for most.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import psycopg
from psycopg.rows import TupleRow

from screener_analyzer import binary, columns
from screener_analyzer.bars import Bars
from screener_analyzer.binary import day_of, days_of
from screener_analyzer.panel import chunks
from screener_analyzer.registry import LONGEST_HISTORY
from screener_analyzer.states import States
from screener_analyzer.walked import BACK, TAIL, Walked, is_known, pack, unpack
from screener_sql import query

LATER_BARS = 20
"""A block is made anew with so many later bars, or up to as many again, by the asset's id: not all
on one day."""
GROUP = 200
"""How many blocks are asked for, or made, at once."""


class Blocks(NamedTuple):
    packed: dict[int, bytes]
    """By asset, the bars of its block, or the end of them, and those after it."""
    left_out: dict[int, int]
    """By asset, how many bars before these are in its block that runs read usually."""
    walked: dict[int, tuple[bytes | None, int]]
    """By asset, what was carried BACK bars before the last one of its block, and how many bars are
    after the block."""
    due: dict[int, int | None]
    """The assets whose block is to be made; by asset, how many bars are after the one that it goes
    on from, None: there is none."""

    def walked_of(self, asset_ids: Sequence[int]) -> Walked:
        """What was carried, of each of these assets."""
        found = [self.walked.get(asset_id, (None, 0)) for asset_id in asset_ids]
        values, known = unpack([packed for packed, _ in found])
        later = np.array([later for _, later in found], dtype=np.intp)
        return Walked(values, np.where(known, BACK + later, -1))


class BlockStore:
    """In the transactions of one connection."""

    def __init__(self, connection: psycopg.Connection[TupleRow], execution_id: str) -> None:
        self._connection = connection
        self._execution_id = execution_id

    def read(self, asset_ids: Sequence[int], until: dt.date, *, ends: bool) -> Blocks:
        """The bars up to a day of those assets that have a block; of those `ends` only that have
        what was carried."""
        found = Blocks({}, {}, {}, dict.fromkeys(asset_ids))
        with self._connection.cursor(binary=True) as cursor:
            blocks = cursor.execute(
                query("analyzer/read_blocks"),
                {"asset_ids": columns.integers(asset_ids), "until": until},
            ).fetchall()
            if not blocks:
                return found
            # Not in groups: to plan it takes longer than to read a group's.
            later: dict[int, bytes] = dict(
                cursor.execute(
                    query("analyzer/read_bars_after"),
                    {
                        "asset_ids": columns.integers([block[0] for block in blocks]),
                        "after": columns.dates([days_of(block[1]) for block in blocks]),
                        "first": min(block[1] for block in blocks),
                        "until": until,
                    },
                ).fetchall()
            )
            begins = []
            for asset_id, _, size, walked in blocks:
                later_bars = binary.count(later.get(asset_id, b""))
                bars = size // binary.PACKED.itemsize
                found.walked[asset_id] = walked, later_bars
                # No more than are read of an asset: the block is in the order of its days.
                surplus = begin = max(0, bars + later_bars - LONGEST_HISTORY)
                if is_known(walked):
                    found.due[asset_id] = later_bars
                    if later_bars < LATER_BARS + asset_id % LATER_BARS:
                        del found.due[asset_id]
                    if ends:
                        begin = max(surplus, bars + later_bars - TAIL)
                        found.left_out[asset_id] = begin - surplus
                begins.append(begin * binary.PACKED.itemsize)
            for part in chunks(len(blocks), GROUP):
                its = [block[0] for block in blocks[part]]
                for asset_id, packed in cursor.execute(
                    query("analyzer/read_block_bars"),
                    {"asset_ids": columns.integers(its), "begins": columns.integers(begins[part])},
                ):
                    found.packed[asset_id] = packed + later.get(asset_id, b"")
        return found

    def keep(
        self,
        asset_ids: Sequence[int],
        due: Mapping[int, int | None],
        bars: Bars,
        states: States,
        read_at: dt.datetime,
    ) -> None:
        """Makes the blocks that are `due` of the last bars of each of these assets, in the open
        transaction that has stored their `states`; of others none."""
        walked = dict(zip(states.asset_ids.tolist(), pack(states.walked), strict=True))
        places = [
            place
            for place, asset_id in enumerate(asset_ids)
            if asset_id in due and asset_id in walked
        ]
        ends = bars.lengths.cumsum().tolist()
        used = np.minimum(bars.used, LONGEST_HISTORY).tolist()
        for part in chunks(len(places), GROUP):
            its, last_bars, stay, packed = [], [], [], []
            for place in places[part]:
                asset_id, end = asset_ids[place], ends[place]
                later = due[asset_id]
                come = used[place] if later is None else min(later, used[place])
                new = slice(end - come, end)
                its.append(asset_id)
                last_bars.append(day_of(bars.dates[end - 1]))
                stay.append((used[place] - come) * binary.PACKED.itemsize)
                packed.append(binary.pack(bars.dates[new], bars.values[new]))
            self._connection.execute(
                query("analyzer/keep_blocks"),
                {
                    "execution_id": self._execution_id,
                    "read_at": read_at,
                    "asset_ids": its,
                    "last_bars": last_bars,
                    "stay": stay,
                    "bars": packed,
                    "walked": [walked[asset_id] for asset_id in its],
                },
            )
