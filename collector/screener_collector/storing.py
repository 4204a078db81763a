"""Adapter: Postgres: bars, by COPY in binary into a staging table and from there into the bars."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from screener_collector.bars import Bars
from screener_collector.store import Cursor, run
from screener_sql import query


@dataclass(slots=True)
class Changes:
    """Bars that a transaction added and changed, by asset."""

    inserted: dict[int, int] = field(default_factory=dict)
    updated: dict[int, int] = field(default_factory=dict)


async def store_bars(cursor: Cursor, execution_id: str, incoming: Mapping[int, Bars]) -> Changes:
    """Stores bars by asset; what of them was new and what had been otherwise.

    The states of the assets must be locked (`lock_states`), so that no other worker stores bars of
    them at the same time.
    """
    assets = {asset_id: bars for asset_id, bars in incoming.items() if len(bars)}
    if not assets:
        return Changes()
    span = {
        "first": min(bars.first_date for bars in assets.values()),
        "last": max(bars.last_date for bars in assets.values()),
    }
    await run(cursor, "ensure_partitions", span)
    await cursor.execute(query("collector/create_incoming_bars"))
    async with cursor.copy(query("collector/copy_bars")) as copy:
        await copy.write(_packed(assets))
    updated = await run(cursor, "update_bars", span)
    inserted = await run(cursor, "insert_bars", {})
    await run(cursor, "release_bars", {})
    return Changes(
        {row["asset_id"]: row["count"] for row in inserted},
        {row["asset_id"]: row["count"] for row in updated},
    )


_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL = b"\xff\xff"
_POSTGRES_DAY_0 = np.datetime64("2000-01-01", "D")
_VALUES = (">i4", ">i4", ">f8", ">f8", ">f8", ">f8", ">f8", ">i8")
_TUPLE = np.dtype(
    [("fields", ">i2")]
    + [
        field
        for at, value in enumerate(_VALUES)
        for field in ((f"size{at}", ">i4"), (f"value{at}", value))
    ]
)
"""A row of COPY's binary format: how many values, then of each its size in bytes and itself."""


def _packed(incoming: Mapping[int, Bars]) -> bytes:
    """The bars as COPY's binary format has them: asset, date, prices, volume."""
    counts = [len(bars) for bars in incoming.values()]
    dates, *prices_and_volume = (
        np.concatenate(columns)
        for columns in zip(*(bars.columns() for bars in incoming.values()), strict=True)
    )
    values: list[NDArray[np.generic]] = [
        np.repeat(np.array(list(incoming), np.int32), counts),
        (dates - _POSTGRES_DAY_0).astype(np.int32),
        *prices_and_volume,
    ]
    rows = np.empty(sum(counts), _TUPLE)
    rows["fields"] = len(_VALUES)
    for at, column in enumerate(values):
        rows[f"size{at}"] = np.dtype(_VALUES[at]).itemsize
        rows[f"value{at}"] = column
    return b"".join((_HEAD, rows.tobytes(), _TAIL))
