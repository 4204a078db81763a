"""Adapter: Postgres: writes bars, in the transaction of whoever closes what they came with.

Bars of assets that have none yet go in by COPY: each asset's oldest into the table, whose trigger
is told by it from which day on the asset's history changes, and the others straight into the
partition of their day: for the trigger each row of the table's statement is kept, and its rows are
inserted one by one. All others go into a staging table, are compared with what is stored, and only
what is new or otherwise is written; what it was before becomes a revision. So writing an answer
again changes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg.sql import SQL, Identifier

from screener_collector.bars import Bars, Tails
from screener_collector.store import Cursor, run
from screener_sql import query
from screener_sql.partitions import FIRST_YEAR, partition_of

WITHDRAWN_BARS, WITHDRAWN_SHARE = 5, 0.02
"""A history may lack so many stored bars, or this share of its own; more is a fault of it."""


@dataclass(slots=True)
class Changes:
    """What storing changed: bars by asset; assets without any are left out."""

    inserted: dict[int, int] = field(default_factory=dict)
    updated: dict[int, int] = field(default_factory=dict)
    withdrawn: dict[int, int] = field(default_factory=dict)
    kept_withdrawn: dict[int, int] = field(default_factory=dict)
    """Stored bars that a whole history lacks, too many of them to be believed."""


async def store_bars(
    cursor: Cursor,
    execution_id: str,
    incoming: Mapping[int, Bars],
    *,
    whole: Mapping[int, tuple[date, date]] | None = None,
    set_aside: Mapping[int, Iterable[date]] | None = None,
) -> Changes:
    """Stores bars by asset id.

    `whole`: assets whose answer is all that the vendor has between two days. A stored bar in
    between, not newer than the answer's newest, that it lacks is withdrawn: moved to
    `quarantined_bars` with rule `bar_withdrawn`. `set_aside`: days of which the answer has a bar
    that is not stored: these it does not lack.

    The states of the assets must be locked (`lock_states`), so that no other worker writes bars of
    them at the same time. Raises LookupError for an asset without a state.
    """
    assets = {asset_id: bars for asset_id, bars in incoming.items() if len(bars)}
    changes = Changes()
    if not assets:
        return changes
    first = min(bars.first_date for bars in assets.values())
    last = max(bars.last_date for bars in assets.values())
    await run(cursor, "ensure_partitions", {"first": first, "last": last})
    has_bars = {
        row["asset_id"]: row["has_bars"]
        for row in await run(cursor, "has_bars", {"asset_ids": list(assets)})
    }
    if len(has_bars) < len(assets):
        raise LookupError(f"assets without a state: {sorted(assets.keys() - has_bars.keys())}")
    new = {asset_id: bars for asset_id, bars in assets.items() if not has_bars[asset_id]}
    known = {asset_id: bars for asset_id, bars in assets.items() if has_bars[asset_id]}
    if new:
        await _copy_new(cursor, new)
        changes.inserted = {asset_id: len(bars) for asset_id, bars in new.items()}
    if known:
        await _compare_and_store(cursor, execution_id, known, whole or {}, set_aside or {}, changes)
    await _release(cursor, assets)
    return changes


async def _compare_and_store(
    cursor: Cursor,
    execution_id: str,
    known: Mapping[int, Bars],
    whole: Mapping[int, tuple[date, date]],
    set_aside: Mapping[int, Iterable[date]],
    changes: Changes,
) -> None:
    await cursor.execute(query("collector/create_incoming_bars"))
    await _copy(
        cursor,
        "copy_incoming_bars",
        [(asset_id, bars, 0, len(bars)) for asset_id, bars in known.items()],
    )
    spans = [
        (asset_id, first, min(last, known[asset_id].last_date))
        for asset_id, (first, last) in whole.items()
        if asset_id in known
    ]
    compared = await run(
        cursor,
        "upsert_bars",
        {
            "execution_id": execution_id,
            "whole": [asset_id for asset_id, _, _ in spans],
            "whole_first": [first for _, first, _ in spans],
            "whole_last": [last for _, _, last in spans],
        },
    )
    withdrawn: list[tuple[int, date]] = []
    for row in compared:
        asset_id = row["asset_id"]
        if row["inserted"]:
            changes.inserted[asset_id] = row["inserted"]
        if row["updated"]:
            changes.updated[asset_id] = row["updated"]
        lacking = set(row["lacking"] or ()) - set(set_aside.get(asset_id, ()))
        if len(lacking) > max(WITHDRAWN_BARS, WITHDRAWN_SHARE * len(known[asset_id])):
            changes.kept_withdrawn[asset_id] = len(lacking)
        else:
            withdrawn += ((asset_id, day) for day in sorted(lacking))
    if withdrawn:
        scope = {"execution_id": execution_id, **_pairs(withdrawn)}
        rows = await run(cursor, "withdraw_bars", scope)
        changes.withdrawn = {row["asset_id"]: row["withdrawn"] for row in rows}


async def _release(cursor: Cursor, assets: Mapping[int, Bars]) -> None:
    """Bars that were set aside and came in good now."""
    rows = await run(cursor, "quarantined_days", {"asset_ids": list(assets)})
    good = [
        (row["asset_id"], row["date"])
        for row in rows
        if np.datetime64(row["date"], "D") in assets[row["asset_id"]].dates
    ]
    if good:
        await run(cursor, "release_bars", _pairs(good))


def _pairs(days: Sequence[tuple[int, date]]) -> dict[str, list[int] | list[date]]:
    return {"asset_ids": [asset_id for asset_id, _ in days], "days": [day for _, day in days]}


async def _copy_new(cursor: Cursor, assets: Mapping[int, Bars]) -> None:
    """Bars of assets that have none; the oldest ones last, so that the trigger runs after all."""
    for of_year, parts in _by_partition(assets):
        await _copy(cursor, "copy_new_bars", parts, of_year)
    oldest = [(asset_id, bars, 0, 1) for asset_id, bars in assets.items()]
    await _copy(cursor, "copy_new_bars", oldest, Identifier("financial_screener", _TABLE))


_TABLE = "stock_prices"

_Part = tuple[int, Bars, int, int]
"""Of an asset the bars from a place on and up to another."""


def _by_partition(assets: Mapping[int, Bars]) -> Iterator[tuple[Identifier, list[_Part]]]:
    """Each asset's bars but its oldest by the partition."""
    last_year = max(bars.last_date.year for bars in assets.values())
    years = range(FIRST_YEAR - 1, max(last_year + 1, FIRST_YEAR))
    begins = np.array([f"{year}-01-01" for year in years[1:]], "datetime64[D]")
    # The oldest bar is in no place.
    cuts = {
        asset_id: [1, *np.maximum(np.searchsorted(bars.dates, begins), 1).tolist(), len(bars)]
        for asset_id, bars in assets.items()
    }
    for place, year in enumerate(years):
        parts = [
            (asset_id, bars, cuts[asset_id][place], cuts[asset_id][place + 1])
            for asset_id, bars in assets.items()
            if cuts[asset_id][place] < cuts[asset_id][place + 1]
        ]
        if parts:
            yield partition_of(_TABLE, year), parts


async def _copy(
    cursor: Cursor, name: str, parts: Sequence[_Part], table: Identifier | None = None
) -> None:
    """`table`: where the statement leaves it open."""
    statement = query(f"collector/{name}")
    async with cursor.copy(
        SQL(statement.decode()).format(table=table) if table else statement
    ) as copy:
        await copy.write(_HEAD)
        rows = _rows(min(PART_BARS, sum(end - begin for _, _, begin, end in parts)))
        for some in _together(parts):
            # What is written is Postgres' or its library's before the rows are filled again.
            await copy.write(rows[: _fill(rows, some)].view(np.uint8).data)
        await copy.write(_TAIL)


PART_BARS = 4096
"""Bars are sent to Postgres in parts of so many at most: it reads the first while the next are
packed, and long histories take no more memory than short ones."""


def _together(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """Of PART_BARS together, but for the last; none without bars."""
    some: list[_Part] = []
    room = PART_BARS
    for asset_id, bars, begin, end in parts:
        while begin < end:
            cut = min(end, begin + room)
            some.append((asset_id, bars, begin, cut))
            room -= cut - begin
            begin = cut
            if not room:
                yield some
                some, room = [], PART_BARS
    if some:
        yield some


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
_BAR = np.dtype([(f"value{at}", value) for at, value in enumerate(_VALUES) if at])
"""A bar as `tails` packs it: all but the asset."""


async def read_tails(cursor: Cursor, asset_ids: Sequence[int], count: int, before: date) -> Tails:
    """The last `count` stored bars before a day of each of `asset_ids`, of which none twice."""
    wanted = {"asset_ids": list(asset_ids), "count": count, "before": before}
    await cursor.execute(query("collector/tails"), wanted, binary=True)
    packed = {row["asset_id"]: row["packed"] for row in await cursor.fetchall()}
    return _tails(np.array(asset_ids, np.int32), count, packed)


async def _copied(
    cursor: Cursor, statement: str, parameters: Mapping[str, Any]
) -> NDArray[np.void]:
    """The rows (`_TUPLE`) of a COPY of asset, date, prices and volume, without a NULL."""
    answer = bytearray()
    async with cursor.copy(query(f"collector/{statement}"), parameters) as copy:
        async for part in copy:
            answer += part
    return np.frombuffer(answer[len(_HEAD) : -len(_TAIL)], _TUPLE)


def _tails(asset_ids: NDArray[np.int32], count: int, packed: Mapping[int, bytes]) -> Tails:
    of_assets = [packed.get(asset_id, b"") for asset_id in asset_ids.tolist()]
    rows = np.frombuffer(b"".join(of_assets), _BAR)
    lengths = np.array([len(each) // _BAR.itemsize for each in of_assets], np.intp)
    begins = np.cumsum(lengths) - lengths
    # An asset's bars are packed the newest first.
    nth = np.arange(len(rows)) - np.repeat(begins, lengths)
    at = (np.repeat(np.arange(len(asset_ids)), lengths), count - 1 - nth)

    def matrix(value: int, missing: float, kind: str) -> NDArray[Any]:
        filled = np.full((len(asset_ids), count), missing, kind)
        filled[at] = rows[f"value{value}"]
        return filled

    days = matrix(1, 0, "i8").astype("timedelta64[D]") + _POSTGRES_DAY_0
    days[np.arange(count) < count - lengths[:, None]] = np.datetime64("NaT")
    prices = [matrix(value, np.nan, "f8") for value in range(2, 7)]
    return Tails(asset_ids, lengths, days, matrix(7, 0, "i8"), *prices)


async def read_bars(
    cursor: Cursor, statement: str, parameters: Mapping[str, Any]
) -> dict[int, Bars]:
    """Bars by asset from a COPY of asset, date, prices and volume, in the order of the first two.

    `statement`: of the collector's; it must copy no NULL.
    """
    rows = await _copied(cursor, statement, parameters)
    owners = rows["value0"].astype(np.int32)
    begins = np.flatnonzero(np.concatenate(([True], owners[1:] != owners[:-1]))[: len(rows)])
    open_, high, low, close, adjusted = (rows[f"value{n}"].astype("f8") for n in range(2, 7))
    days = rows["value1"].astype("timedelta64[D]") + _POSTGRES_DAY_0
    bars = Bars(days, open_, high, low, close, adjusted, rows["value7"].astype("i8"))
    ends = [*begins[1:].tolist(), len(rows)] if len(rows) else []
    return {
        int(owners[begin]): bars.take(slice(begin, end))
        for begin, end in zip(begins.tolist(), ends, strict=True)
    }


def _rows(count: int) -> NDArray[np.void]:
    """Rows of COPY's binary format: asset, date, prices, volume, whose values are not set yet."""
    rows = np.zeros(count, _TUPLE)
    rows["fields"] = len(_VALUES)
    for at, value in enumerate(_VALUES):
        rows[f"size{at}"] = np.dtype(value).itemsize
    return rows


def _fill(rows: NDArray[np.void], parts: Sequence[_Part]) -> int:
    """Sets the first of the rows to these bars; how many they are."""
    counts = [end - begin for _, _, begin, end in parts]
    dates, *prices_and_volume = (
        np.concatenate(columns)
        for columns in zip(
            *([column[begin:end] for column in bars.columns()] for _, bars, begin, end in parts),
            strict=True,
        )
    )
    values: list[NDArray[np.generic]] = [
        np.repeat(np.array([asset_id for asset_id, *_ in parts], np.int32), counts),
        (dates - _POSTGRES_DAY_0).astype(np.int32),
        *prices_and_volume,
    ]
    for at, column in enumerate(values):
        rows[f"value{at}"][: len(column)] = column
    return len(dates)
