"""Adapter: what the analyzer reads from Postgres and writes there.

The only module of this program that runs SQL, apart from the worker's lock. Never decides what is
computed. Every method raises DatabaseUnreachable when Postgres is away.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from screener_analyzer.registry import COLUMNS, LONGEST_HISTORY
from screener_analyzer.series import Bar
from screener_sql import query
from screener_sql.connect import connect, translated


@dataclass(frozen=True, slots=True)
class Slice:
    """The IndicatorRun's slice as it was found."""

    finished: bool
    verified: bool | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed item and the bars that were there at `read_at`."""

    item_id: int
    asset_id: int
    ticker: str
    until: dt.date | None
    """The newest date to use; None: whatever is stored."""
    awaits_refetch: bool
    read_at: dt.datetime
    """Taken before the bars were read."""
    bars: tuple[Bar, ...]
    """Oldest first, at most LONGEST_HISTORY; empty where `awaits_refetch`."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of technical_indicators."""

    calculation_date: dt.date
    values: Mapping[str, float | None]
    bars_used: int


@dataclass(frozen=True, slots=True)
class Result:
    """How a claimed item ends."""

    work: Work
    state: str
    """succeeded (then with `row`), failed or skipped (then with the two texts)."""
    row: Row | None = None
    error_code: str | None = None
    message: str | None = None
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row read back, with the ticker for people."""

    ticker: str
    asset_id: int
    calculation_date: dt.date
    values: Mapping[str, float | None]


class Store:
    """One connection, one run, one worker."""

    def __init__(self, connection: psycopg.Connection[TupleRow], execution_id: str) -> None:
        self._connection = connection
        self._execution_id = execution_id

    @classmethod
    @contextmanager
    def open(cls, dsn: str, execution_id: str) -> Iterator["Store"]:
        """Raises DatabaseUnreachable, or BadSetting if `dsn` is no connection string."""
        with connect(dsn, application_name="screener-analyze", autocommit=True) as connection:
            yield cls(connection, execution_id)

    def start_slice(self) -> Slice | None:
        """Notes that the slice has begun. None: the run has no such slice."""
        row = self._one("analyzer/start_slice")
        return None if row is None else Slice(*row)

    def claim(self, worker_id: int, chunk: int) -> list[int]:
        """At most `chunk` item ids that are this worker's, from now on or still."""
        with translated():
            rows = self._connection.execute(
                query("analyzer/claim_items"),
                {"execution_id": self._execution_id, "worker_id": worker_id, "chunk": chunk},
            ).fetchall()
        return [item_id for (item_id,) in rows]

    def read(self, worker_id: int, item_ids: Sequence[int]) -> list[Work]:
        """The claimed items with their bars; without those whose assets are being written just now.

        A writer that comes later waits until the bars are read, so a change is either in them or
        newer than `read_at`.
        """
        with translated(), self._connection.transaction():
            held = self._connection.execute(
                query("analyzer/hold_assets"),
                {"worker_id": worker_id, "item_ids": list(item_ids)},
            ).fetchall()
            wanted = [
                (asset_id, until)
                for _, asset_id, _, until, awaits_refetch, _ in held
                if not awaits_refetch
            ]
            bars = self._bars(wanted)
        return [
            Work(item_id, asset_id, ticker, until, awaits_refetch, read_at, bars.get(asset_id, ()))
            for item_id, asset_id, ticker, until, awaits_refetch, read_at in held
        ]

    def save(self, worker_id: int, results: Sequence[Result]) -> list[int]:
        """Stores the results in one transaction; returns the ids of the items that it ended.

        An item that is no longer this worker's is left out, and so is one whose asset is being
        written just now: that one stays claimed.
        """
        with translated(), self._connection.transaction():
            taken = {
                item_id
                for (item_id,) in self._connection.execute(
                    query("analyzer/take_items"),
                    {
                        "worker_id": worker_id,
                        "item_ids": [result.work.item_id for result in results],
                    },
                )
            }
            ended = [result for result in results if result.work.item_id in taken]
            if ended:
                self._end(ended)
        return [result.work.item_id for result in ended]

    def open_items(self) -> int:
        """Items of the run that have not ended, whoever holds them."""
        row = self._one("analyzer/open_items")
        return int(row[0]) if row else 0

    def item_counts(self) -> dict[str, int]:
        """Items of the run by state."""
        with translated():
            rows = self._connection.execute(
                query("analyzer/item_counts"), {"execution_id": self._execution_id}
            ).fetchall()
        return dict(rows)

    def release(self, worker_id: int) -> None:
        """Gives back what the worker has claimed and not ended."""
        with translated():
            self._connection.execute(
                query("analyzer/release_items"),
                {"execution_id": self._execution_id, "worker_id": worker_id},
            )

    def sample(self, size: int) -> list[tuple[StoredRow, tuple[Bar, ...]]]:
        """Random rows of this run, read back, each with the bars up to its date, read again.

        Without assets whose bars have changed since; the two are of one snapshot.
        """
        with translated(), self._connection.transaction():
            self._connection.execute(query("analyzer/one_snapshot"))
            rows = self._connection.execute(
                query("analyzer/sample_rows"),
                {"execution_id": self._execution_id, "sample": size},
            ).fetchall()
            stored = [
                StoredRow(ticker, asset_id, day, dict(zip(COLUMNS, values, strict=True)))
                for ticker, asset_id, day, *values in rows
            ]
            bars = self._bars([(row.asset_id, row.calculation_date) for row in stored])
        return [(row, bars.get(row.asset_id, ())) for row in stored]

    def finish_slice(self, *, verified: bool, message: str) -> bool:
        """Ends the slice; False: it is ended already, or an item is open."""
        return self._one("analyzer/finish_slice", verified=verified, message=message) is not None

    def _one(self, name: str, **parameters: Any) -> TupleRow | None:
        with translated():
            return self._connection.execute(
                query(name), {"execution_id": self._execution_id, **parameters}
            ).fetchone()

    def _bars(self, wanted: Sequence[tuple[int, dt.date | None]]) -> dict[int, tuple[Bar, ...]]:
        with self._connection.cursor(binary=True) as cursor:
            cursor.execute(
                query("analyzer/read_bars"),
                {
                    "asset_ids": [asset_id for asset_id, _ in wanted],
                    "until": [until for _, until in wanted],
                    "bars": LONGEST_HISTORY,
                },
            )
            return {
                asset_id: tuple(Bar(*row[1:]) for row in rows)
                for asset_id, rows in groupby(cursor, key=itemgetter(0))
            }

    def _end(self, results: Sequence[Result]) -> None:
        inserted = self._upsert(results)
        columns: dict[str, Any] = {
            "item_ids": [result.work.item_id for result in results],
            "asset_ids": [result.work.asset_id for result in results],
            "tickers": [result.work.ticker for result in results],
            "states": [result.state for result in results],
            "inserted": [
                int(result.row is not None and inserted[result.work.item_id]) for result in results
            ],
            "updated": [
                int(result.row is not None and not inserted[result.work.item_id])
                for result in results
            ],
            "error_codes": [result.error_code for result in results],
            "messages": [result.message for result in results],
            "durations_ms": [result.duration_ms for result in results],
        }
        self._connection.execute(query("analyzer/close_items"), columns)
        # All of a chunk were read in one transaction, so they have one read_at.
        read_at = results[0].work.read_at
        self._connection.execute(
            query("analyzer/insert_details"),
            {"execution_id": self._execution_id, "started_at": read_at, **columns},
        )
        rows = [(result.work.asset_id, result.row) for result in results if result.row is not None]
        self._connection.execute(
            query("analyzer/mark_calculated"),
            {
                "execution_id": self._execution_id,
                "calculated_at": read_at,
                "asset_ids": [asset_id for asset_id, _ in rows],
                "last_dates": [row.calculation_date for _, row in rows],
            },
        )
        failed = [result for result in results if result.state == "failed"]
        self._connection.execute(
            query("analyzer/mark_failed"),
            {
                "asset_ids": [result.work.asset_id for result in failed],
                "error_codes": [result.error_code for result in failed],
                "messages": [result.message for result in failed],
            },
        )

    def _upsert(self, results: Sequence[Result]) -> dict[int, bool]:
        """Whether the row of each item that has one is new."""
        with_row = [(result.work, result.row) for result in results if result.row is not None]
        if not with_row:
            return {}
        days = [row.calculation_date for _, row in with_row]
        self._connection.execute(
            query("analyzer/ensure_partitions"), {"first_day": min(days), "last_day": max(days)}
        )
        with self._connection.cursor() as cursor:
            cursor.executemany(
                query("analyzer/upsert_indicators"),
                [
                    {
                        "asset_id": work.asset_id,
                        "calculation_date": row.calculation_date,
                        **row.values,
                        "bars_used": row.bars_used,
                        "calculated_at": work.read_at,
                        "execution_id": self._execution_id,
                    }
                    for work, row in with_row
                ],
                returning=True,
            )
            inserted: dict[int, bool] = {}
            for (work, _), result in zip(with_row, cursor.results(), strict=True):
                answer = result.fetchone()
                assert answer is not None, "INSERT … RETURNING gives a row"
                inserted[work.item_id] = answer[0]
        return inserted
