"""Adapter: makes a run's plan in one transaction: discovery, ways, budget, and the rows of it all.

Nothing is half planned: the rows and `process_executions.planned_at` appear together, and planning
again changes nothing. The decisions are `plan`'s; the statements are those of `queries/planning/`.
"""

import logging
from datetime import date, datetime
from typing import Any

from psycopg import Connection, Cursor
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from screener_operator.plan import (
    BULK_CALLS_PER_SESSION,
    FUNDAMENTALS_CALLS,
    PRICES_CALLS,
    Budget,
    PlanRequest,
    sessions_by_bulk,
    share_budget,
)
from screener_sql import query
from screener_sql.model import PLANNER_LOCK

logger = logging.getLogger(__name__)

_DEFERRED_BECAUSE = {
    "keep_calls": "spec.quota.keepCalls leaves no calls for it; due again in the next run",
    "daily_limit": "the calls left of the day do not reach for it; due again after 00:00 GMT",
    "run_limit": "spec.quota.maxCalls does not reach for it; due again in the next run",
}


def plan_run(connection: Connection[TupleRow], request: PlanRequest, now: datetime) -> None:
    """Plans a CollectionRun whose execution is open. `now` (aware): what to expect, which day."""
    with connection.transaction(), connection.cursor() as cursor:
        if not _begin(cursor, request.execution_id, now):
            return
        scope: dict[str, Any] = {
            "execution_id": request.execution_id,
            "operations": list(request.operations),
            "asset_types": list(request.asset_types),
            "as_of": request.as_of,
            "history_from": request.history_from,
            "dry_run": request.dry_run,
            "now": now,
            "wanted": Jsonb(
                [
                    {
                        "group_name": group.name,
                        "group_ordinal": ordinal,
                        "exchange": exchange,
                        "symbols": group.symbols,
                    }
                    for ordinal, group in enumerate(request.groups)
                    for exchange in group.exchanges
                ]
            ),
        }
        cursor.execute(query("planning/create_delta"))
        cursor.execute(query("planning/discover"), scope)
        cursor.execute(query("planning/analyze_delta"))
        cursor.execute(query("planning/insert_slices"), scope)

        by_bulk = _exchanges_by_bulk(cursor, scope)
        cursor.execute(
            query("planning/insert_items"),
            scope
            | {
                "bulk": Jsonb({str(exchange): sessions for exchange, sessions in by_bulk.items()}),
                "prices_calls": PRICES_CALLS,
                "fundamentals_calls": FUNDAMENTALS_CALLS,
            },
        )
        _fit_into_budget(cursor, scope, by_bulk)
        cursor.execute(query("planning/insert_asset_fetches"), scope)
        cursor.execute(query("planning/link_items"), scope)
        if request.dry_run:
            cursor.execute(query("planning/skip_for_dry_run"), scope)
        _end(cursor, scope)


def plan_indicators(
    connection: Connection[TupleRow],
    execution_id: str,
    *,
    exchanges: tuple[str, ...] | None,
    symbols: tuple[str, ...] | None,
    mode: str,
    as_of: date | None,
    now: datetime,
) -> None:
    """Plans an IndicatorRun whose execution is open. None for exchanges or symbols: all."""
    with connection.transaction(), connection.cursor() as cursor:
        if not _begin(cursor, execution_id, now):
            return
        scope: dict[str, Any] = {
            "execution_id": execution_id,
            "exchanges": None if exchanges is None else list(exchanges),
            "symbols": None if symbols is None else list(symbols),
            "mode": mode,
            "as_of": as_of,
            "now": now,
        }
        cursor.execute(query("planning/insert_indicator_slice"), scope)
        cursor.execute(query("planning/insert_indicator_items"), scope)
        cursor.execute(query("planning/note_unknown_symbols"), scope)
        _end(cursor, scope)


def _begin(cursor: Cursor[TupleRow], execution_id: str, now: datetime) -> bool:
    """Whether the execution is still to be planned; then nobody else plans until we are done."""
    cursor.execute(query("planning/lock"), {"lock_class": PLANNER_LOCK})
    row = cursor.execute(query("planning/planned_at"), {"execution_id": execution_id}).fetchone()
    if row is None:
        raise LookupError(f"execution {execution_id} is not open")
    if row[0] is not None:
        return False
    cursor.execute(query("planning/ensure_partitions"), {"now": now})
    return True


def _end(cursor: Cursor[TupleRow], scope: dict[str, Any]) -> None:
    cursor.execute(query("planning/insert_details"), scope)
    cursor.execute(query("planning/set_planned"), scope)


def _exchanges_by_bulk(cursor: Cursor[TupleRow], scope: dict[str, Any]) -> dict[int, int]:
    """Exchange ids for which bulk days cost less, and how many of their latest sessions so.

    None while the vendor's plan does not include them; the run then says so, for it costs more.
    """
    refused = cursor.execute(query("planning/bulk_in_plan"), scope).fetchone()
    gaps: dict[int, dict[int, int]] = {}
    for exchange_id, gap, assets in cursor.execute(query("planning/gaps")):
        gaps.setdefault(exchange_id, {})[gap] = assets
    chosen = {exchange: sessions_by_bulk(by_gap) for exchange, by_gap in gaps.items()}
    by_bulk = {exchange: sessions for exchange, sessions in chosen.items() if sessions > 0}
    if refused is None or not by_bulk:
        return by_bulk
    note = (
        f"The vendor refused bulk days on {refused[0]} and is not asked for them for a week;"
        " each asset is asked for by itself."
    )
    cursor.execute(
        query("planning/note_slices"), scope | {"note": note, "exchanges": list(by_bulk)}
    )
    return {}


def _fit_into_budget(
    cursor: Cursor[TupleRow], scope: dict[str, Any], by_bulk: dict[int, int]
) -> None:
    """Writes the bulk fetches that fit and defers every item that does not.

    Bulk days come first: they serve the most assets a call.
    """
    due = cursor.execute(query("planning/due_calls"), scope).fetchone()
    left = cursor.execute(query("planning/calls_left"), scope).fetchone()
    assert due is not None and left is not None  # both are aggregates or have a row always
    bulk_calls = BULK_CALLS_PER_SESSION * sum(by_bulk.values())
    day_left, run_left, kept = left
    budget: Budget = share_budget(
        day_left=day_left,
        run_left=run_left,
        prices_due=due[0] + bulk_calls,
        fundamentals_due=due[1],
    )
    reason = {
        "error_code": budget.bound_by,
        "message": _DEFERRED_BECAUSE[
            "keep_calls" if budget.bound_by == "daily_limit" and kept else budget.bound_by
        ],
    }
    prices_left = budget.prices
    for exchange_id, sessions in by_bulk.items():
        exchange = {"exchange_id": exchange_id, "sessions": sessions}
        calls = BULK_CALLS_PER_SESSION * sessions
        if calls <= prices_left:
            prices_left -= calls
            cursor.execute(query("planning/insert_bulk_fetches"), scope | exchange)
        else:
            cursor.execute(query("planning/defer_bulk_items"), scope | reason | exchange)
    for fundamentals, calls in ((False, prices_left), (True, budget.fundamentals)):
        cursor.execute(
            query("planning/defer_asset_items"),
            scope | reason | {"fundamentals": fundamentals, "budget": calls},
        )
    logger.info(
        "planned %d calls for prices and %d for fundamentals of %d and %d due",
        budget.prices,
        budget.fundamentals,
        due[0] + bulk_calls,
        due[1],
        extra={"action": "planned", "execution_id": scope["execution_id"]},
    )
