"""Adapter: Postgres. The only module of the operator that runs SQL, apart from `planning`;
statements are in `queries/operator/`.

One connection does everything, and it holds the fence: the advisory lock of the one operator that
may act. So nothing can be written without it, and a lost connection is a lost lock. Not to be used
by two threads at once.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection, Cursor
from psycopg.rows import DictRow, TupleRow, dict_row
from psycopg.types.json import Jsonb

from screener_operator import planning
from screener_operator.facts import (
    Counts,
    Execution,
    Facts,
    PlanRow,
    Quality,
    RuleCount,
    ScheduleDay,
    Slice,
)
from screener_operator.outcome import Outcome
from screener_operator.reasons import Reason
from screener_operator.resources import CollectionRun, IndicatorRun
from screener_sql import query
from screener_sql.connect import connect, translated
from screener_sql.errors import DatabaseUnreachable, Retryable
from screener_sql.model import FENCE_LOCK, SliceKind

logger = logging.getLogger(__name__)

STATEMENT_TIMEOUT_S = 120
"""The longest statement plans a run of a million assets."""
RETRY_PAUSE_S = 1.0
"""After a failed connection: so many runs that wait for Postgres cost one attempt, not one each."""

PROCESS_NAMES = {
    "CollectionRun": "data_collection_equities",
    "IndicatorRun": "calculate_indicators",
}


class FenceHeldElsewhere(Retryable):
    """Another operator holds the lock."""


@dataclass(frozen=True, slots=True)
class RunningExecution:
    """An execution that is open, of whatever run."""

    execution_id: str
    run_name: str


class Store:
    """Every method raises DatabaseUnreachable, or FenceHeldElsewhere while another operator holds
    the fence.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Connection[TupleRow] | None = None
        self._failed: tuple[float, DatabaseUnreachable] | None = None

    def close(self) -> None:
        """Gives the fence back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def hold_fence(self) -> None:
        """Returns if this operator may write at this moment; to be asked before every write that
        goes elsewhere.
        """
        with translated():
            self._fenced()

    def facts(self, execution_id: str, now: datetime, *, exchanges: tuple[str, ...] = ()) -> Facts:
        """Everything known of a run, as of one moment. `exchanges`: those of which it shall say
        whether the database knows them.
        """
        scope = {"execution_id": execution_id, "now": now, "exchanges": list(exchanges)}
        with translated():
            connection = self._fenced()
            with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
                cursor.execute(query("operator/read_as_of_now"))
                row = cursor.execute(query("operator/execution"), scope).fetchone()
                unknown = (
                    cursor.execute(query("operator/unknown_exchanges"), scope).fetchall()
                    if exchanges
                    else []
                )
                unknown_codes = tuple(each["code"] for each in unknown)
                if row is None:
                    return Facts(unknown_exchanges=unknown_codes)
                slices = _slices(cursor, scope)
                calls = cursor.execute(query("operator/calls"), scope).fetchone()
                workers = cursor.execute(query("operator/workers_alive"), scope).fetchone()
                assert calls is not None and workers is not None  # each has a row always
                return Facts(
                    execution=_execution(row),
                    slices=slices,
                    calls_planned=calls["planned"],
                    calls_used=calls["used"],
                    calls_remaining_today=calls["remaining_today"],
                    keep_calls=calls["kept"],
                    workers_alive=workers["count"],
                    quality=_quality(cursor, scope),
                    unknown_exchanges=unknown_codes,
                )

    def open_execution(self, run: CollectionRun | IndicatorRun, started_at: datetime) -> None:
        """Opens a run's execution, with its budget and the slice of its preflight; a second time
        changes nothing.
        """
        meta = run.meta
        with translated():
            connection = self._fenced()
            with connection.transaction():
                connection.execute(
                    query("operator/open_execution"),
                    {
                        "process_name": PROCESS_NAMES[meta.kind],
                        "execution_id": meta.uid,
                        "namespace": meta.namespace,
                        "run_name": meta.name,
                        "parameters": Jsonb(
                            {
                                "name": meta.name,
                                "namespace": meta.namespace,
                                "spec": dict(run.spec),
                            }
                        ),
                        "started_at": started_at,
                    },
                )
                if isinstance(run, CollectionRun):
                    connection.execute(
                        query("operator/open_budget"),
                        {
                            "execution_id": meta.uid,
                            "max_calls": run.max_calls,
                            "keep_calls": run.keep_calls,
                            "use_extra": run.use_extra,
                        },
                    )
                    connection.execute(
                        query("operator/open_slice"),
                        {
                            "execution_id": meta.uid,
                            "kind": SliceKind.PREFLIGHT,
                            "name": "preflight",
                        },
                    )

    def mark_started(self, execution_id: str, kind: str, name: str) -> None:
        with translated():
            self._fenced().execute(
                query("operator/mark_started"),
                {"execution_id": execution_id, "kind": kind, "name": name},
            )

    def make_plan(self, run: CollectionRun | IndicatorRun, now: datetime) -> None:
        with translated():
            connection = self._fenced()
            if isinstance(run, CollectionRun):
                planning.plan_run(connection, run.plan_request(now.date()), now)
            else:
                planning.plan_indicators(
                    connection,
                    run.meta.uid,
                    exchanges=run.exchange_codes,
                    symbols=run.symbols,
                    mode=run.mode,
                    as_of=run.as_of,
                    now=now,
                    extra=run.spec.get("extra", ()),
                )

    def fail_open_items(self, execution_id: str, messages: Mapping[str, str]) -> None:
        """Fails what is still open, each with its detail row. `messages`: group name to the
        reason, as a sentence.
        """
        with translated():
            connection = self._fenced()
            with connection.transaction(), connection.cursor() as cursor:
                if _lock_open(cursor, execution_id):
                    _fail_open(cursor, execution_id, messages)

    def close_execution(self, execution_id: str, outcome: Outcome, message: str) -> None:
        """Closes an execution with counts and calls as its rows tell; a second time changes
        nothing.
        """
        with translated():
            connection = self._fenced()
            with connection.transaction(), connection.cursor() as cursor:
                if _lock_open(cursor, execution_id):
                    _fail_open(cursor, execution_id, {})
                    _close(cursor, execution_id, outcome, message)

    def running_executions(self, namespace: str) -> list[RunningExecution]:
        with translated():
            rows = self._fenced().execute(
                query("operator/running_executions"), {"namespace": namespace}
            )
            return [RunningExecution(*row) for row in rows]

    def workers_alive(self, execution_id: str) -> int:
        """How many of its workers may still store something."""
        with translated():
            row = (
                self._fenced()
                .execute(query("operator/workers_alive"), {"execution_id": execution_id})
                .fetchone()
            )
            assert row is not None  # an aggregate
            return int(row[0])

    def close_deleted(self, execution_id: str) -> None:
        """Closes the execution of a run that was deleted."""
        self.close_execution(execution_id, Outcome("failed", Reason.RUN_DELETED), "run deleted")

    def _fenced(self) -> Connection[TupleRow]:
        """The connection, proven to hold the fence at this moment."""
        if self._failed is not None and time.monotonic() - self._failed[0] < RETRY_PAUSE_S:
            raise DatabaseUnreachable(str(self._failed[1]))
        try:
            return self._connect()
        except DatabaseUnreachable as error:
            self._failed = (time.monotonic(), error)
            raise

    def _connect(self) -> Connection[TupleRow]:
        lock = {"lock_class": FENCE_LOCK}
        if self._connection is not None:
            try:
                with translated():
                    row = self._connection.execute(query("operator/holds_fence"), lock).fetchone()
                if row is not None and row[0]:
                    return self._connection
            except DatabaseUnreachable:
                logger.warning(
                    "the connection to Postgres is lost, and with it the fence",
                    extra={"action": "fence_lost"},
                )
            self.close()
        connection = connect(
            self._dsn,
            application_name="screener-operator",
            autocommit=True,
            statement_timeout_s=STATEMENT_TIMEOUT_S,
        )
        try:
            with translated():
                row = connection.execute(query("operator/try_fence"), lock).fetchone()
            if row is None or not row[0]:
                raise FenceHeldElsewhere
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._failed = None
        logger.info("the fence is held", extra={"action": "fence_held"})
        return connection


def _execution(row: DictRow) -> Execution:
    days = tuple(ScheduleDay(**day) for day in row["schedule"] or ())
    return Execution(**{**row, "schedule": days})


def _quality(cursor: Cursor[DictRow], scope: Mapping[str, Any]) -> Quality:
    rows = cursor.execute(query("operator/quality"), scope).fetchall()
    (total,) = (row for row in rows if row["rule"] is None)
    return Quality(
        bars_checked=total["bars_checked"],
        quarantined=total["quarantined"],
        flagged=total["flagged"],
        rules=tuple(
            RuleCount(row["rule"], row["severity"], row["findings"])
            for row in rows
            if row["rule"] is not None and row["findings"]
        ),
    )


def _slices(cursor: Cursor[DictRow], scope: Mapping[str, Any]) -> tuple[Slice, ...]:
    slices = cursor.execute(query("operator/slices"), scope).fetchall()
    counted = {
        row.pop("group_name"): row
        for row in cursor.execute(query("operator/counts"), scope).fetchall()
    }
    result = []
    for row in slices:
        row["notes"] = tuple(row["notes"])
        row["plan"] = tuple(PlanRow.from_json(each) for each in row["plan"] or ())
        if row["kind"] != SliceKind.PREFLIGHT and row["name"] in counted:
            numbers = counted[row["name"]]
            names = ("discovered", "planned", "succeeded", "failed", "skipped", "deferred")
            row["counts"] = Counts(**{name: numbers.pop(name) for name in names})
            row |= numbers
        result.append(Slice(**row))
    return tuple(result)


def _lock_open(cursor: Cursor[TupleRow], execution_id: str) -> bool:
    row = cursor.execute(
        query("operator/lock_execution"), {"execution_id": execution_id}
    ).fetchone()
    return row is not None and bool(row[0])


def _fail_open(cursor: Cursor[TupleRow], execution_id: str, messages: Mapping[str, str]) -> None:
    scope = {"execution_id": execution_id, "messages": Jsonb(dict(messages))}
    cursor.execute(query("operator/fail_open_fetches"), scope)
    cursor.execute(query("operator/fail_open_items"), scope)


def _close(cursor: Cursor[TupleRow], execution_id: str, outcome: Outcome, message: str) -> None:
    cursor.execute(
        query("operator/close_execution"),
        {
            "execution_id": execution_id,
            "status": outcome.status,
            "reason": str(outcome.reason),
            "message": message,
        },
    )
