"""Adapter: that this process is alive, as every other process can see it.

A worker is a row in `workers` whose advisory lock is held by a connection that does nothing else.
A killed process loses it at once, so that what it had claimed is free again. Never retried: a
worker that has lost its lock must stop.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.rows import TupleRow

from screener_sql import query
from screener_sql.connect import connect, translated
from screener_sql.errors import DatabaseUnreachable
from screener_sql.model import WORKER_LOCK


@dataclass(frozen=True, slots=True)
class Worker:
    worker_id: int
    connection: psycopg.Connection[TupleRow]

    def check(self) -> None:
        """Raises DatabaseUnreachable if the lock is lost."""
        with translated():
            row = self.connection.execute(
                query("analyzer/worker_holds_lock"), {"worker_id": self.worker_id}
            ).fetchone()
        if row != (True,):
            raise DatabaseUnreachable("the lock of this worker is lost")


@contextmanager
def registered(dsn: str, *, execution_id: str, pod: str) -> Iterator[Worker]:
    """A new worker, alive until the block ends. Raises DatabaseUnreachable."""
    with connect(dsn, application_name="screener-analyze lock", autocommit=True) as connection:
        with translated():
            row = connection.execute(
                query("analyzer/register_worker"),
                {"execution_id": execution_id, "slice": "indicators", "pod": pod},
            ).fetchone()
            assert row is not None, "INSERT … RETURNING gives a row"
            worker = Worker(row[0], connection)
            connection.execute(
                query("analyzer/lock_worker"),
                {"lock_class": WORKER_LOCK, "worker_id": worker.worker_id},
            )
        try:
            yield worker
        finally:
            if not connection.closed:
                with translated():
                    connection.execute(
                        query("analyzer/end_worker"), {"worker_id": worker.worker_id}
                    )
