"""Adapter: rows of technical_indicators, written in the transaction of whoever ends their items.

Rows of days that have none yet go straight into the table by COPY, and those that another row of
their asset follows straight into the partition of their day: the table's trigger tells screens what
has come, for which each row of the statement is kept, and its rows are inserted one by one; screens
show the newest row of an asset only. All others go through a temporary table, which takes several
times as long.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Composed, Identifier

from screener_analyzer import binary
from screener_analyzer.binary import Days, day_of
from screener_analyzer.registry import COLUMNS
from screener_analyzer.rows import Rows
from screener_sql import query
from screener_sql.partitions import FIRST_YEAR, partition_of

_NAME = "technical_indicators"
_TABLE, _STAGED = Identifier("financial_screener", _NAME), Identifier("pg_temp", "staged")


class RowStore:
    """One connection, one run."""

    def __init__(self, connection: psycopg.Connection[TupleRow], execution_id: str) -> None:
        self._connection = connection
        self._execution_id = execution_id
        self._staged = False

    def store(self, rows: Rows, read_at: dt.datetime) -> dict[int, int]:
        """Stores the rows in the open transaction; how many were there before, by asset.

        The states of the assets must be locked, so that no other worker stores rows of them at the
        same time. Of a row that is there the columns of `rows` are written over, and `extra` where
        there is some, or where they are all: then the row is wholly of this run.
        """
        if not len(rows):
            return {}
        first, last = day_of(rows.days.min()), day_of(rows.days.max())
        self._connection.execute(
            query("analyzer/ensure_partitions"), {"first_day": first, "last_day": last}
        )
        known = self._known(rows, first, last)
        followed = np.append(rows.asset_ids[1:] == rows.asset_ids[:-1], False)
        for partition, chosen in _by_partition(rows.days, np.flatnonzero(followed & ~known)):
            self._copy(partition, rows, chosen, read_at)
        newest = np.flatnonzero(~followed & ~known)
        self._copy(_TABLE, rows, newest, read_at)
        self._replace(rows.where(known), read_at)
        assets, counts = np.unique(rows.asset_ids[known], return_counts=True)
        return dict(zip(assets.tolist(), counts.tolist(), strict=True))

    def _known(self, rows: Rows, first: dt.date, last: dt.date) -> NDArray[np.bool_]:
        """(rows,): whether there is one of its asset and day."""
        with self._connection.cursor(binary=True) as cursor:
            found = cursor.execute(
                query("analyzer/stored_days"),
                {"asset_ids": np.unique(rows.asset_ids).tolist(), "first": first, "last": last},
            ).fetchall()
        known = np.zeros(len(rows), dtype=np.bool_)
        for asset_id, packed in found:
            of_it = rows.asset_ids == asset_id
            known[of_it] = np.isin(rows.days[of_it], np.frombuffer(packed, ">i4"))
        return known

    def _replace(self, rows: Rows, read_at: dt.datetime) -> None:
        if not len(rows):
            return
        if not self._staged:
            self._connection.execute(_of_columns("analyzer/create_staged", COLUMNS))
            self._staged = True
        self._copy(_STAGED, rows, np.arange(len(rows)), read_at)
        columns = list(rows.values)
        more = ["extra"] if rows.extra is not None or len(columns) == len(COLUMNS) else []
        self._connection.execute(_of_columns("analyzer/store_staged", columns, more))
        self._connection.execute(query("analyzer/empty_staged"))

    def _copy(
        self,
        table: Identifier,
        rows: Rows,
        chosen: NDArray[np.intp],
        read_at: dt.datetime,
    ) -> None:
        """The rows of these numbers, in their order."""
        if not len(chosen):
            return
        # A column that is not named is NULL, for less.
        values = {
            column: numbers
            for column, numbers in rows.values.items()
            if not (np.isnan(numbers[0]) and np.isnan(numbers).all())
        }
        fields: list[NDArray[Any]] = [
            rows.asset_ids, rows.days, *values.values(), rows.bars_used
        ]  # fmt: skip
        alike = [binary.timestamp(read_at), self._execution_id.encode()]
        texts = None if rows.extra is None else rows.extra.tolist()
        columns = [
            "asset_id", "calculation_date", *values, "bars_used", "calculated_at", "execution_id",
            *([] if texts is None else ["extra"]),
        ]  # fmt: skip
        statement = SQL(query("analyzer/copy_rows").decode()).format(
            table=table, columns=SQL(", ").join(map(Identifier, columns))
        )
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for part in binary.encode(fields, alike, texts, chosen):
                copy.write(part)


def _by_partition(
    days: Days, chosen: NDArray[np.intp]
) -> Iterator[tuple[Identifier, NDArray[np.intp]]]:
    """Of the rows of these numbers those of each partition, in order."""
    years = (binary.EPOCH + days[chosen]).astype("datetime64[Y]").astype(np.intp) + 1970
    years = np.maximum(years, FIRST_YEAR - 1)
    for year in np.unique(years).tolist():
        yield partition_of(_NAME, year), chosen[years == year]


def _of_columns(name: str, columns: Sequence[str], more: Sequence[str] = ()) -> Composed:
    """A statement over columns of the registry, which no file repeats, and `more` to assign."""
    return SQL(query(name).decode()).format(
        columns=SQL(", ").join(map(Identifier, columns)),
        assignments=SQL(", ").join(
            SQL("{0} = excluded.{0}").format(Identifier(column)) for column in [*columns, *more]
        ),
    )
