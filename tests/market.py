"""Rows for tests that begin in the middle: sessions, assets and their states, executions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

FAR = date(2100, 1, 1)
"""Later than any session of a test."""


@dataclass(frozen=True)
class Asset:
    """What a test wants to be known of an asset before a run; `checked_to` None: never loaded."""

    code: str
    exchange: str = "MC"
    type: str | None = "Common Stock"
    listed: bool = True
    checked_to: date | None = None
    checked_from: date | None = date(2024, 1, 1)
    fundamentals_next: date | None = None
    reprocess: bool = False
    changed_at: datetime | None = None
    indicators_at: datetime | None = None
    prices_next_attempt_at: datetime | None = None
    actions_to: date | None = FAR
    """Up to where the actions of a loaded asset are known; None: never asked for."""
    refreshed_at: datetime | None = datetime(2100, 1, 1, tzinfo=UTC)
    """When the history of a loaded asset was last fetched whole."""


def add_sessions(owner: Connection[TupleRow], exchange: str, first: date, last: date) -> list[date]:
    """Weekdays from `first` to `last` as sessions that close at 16:30 UTC."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    sessions = [day for day in days if day.weekday() < 5]
    with owner.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO financial_screener.exchange_sessions"
            " SELECT id, %s, %s FROM financial_screener.exchanges WHERE code = %s",
            [(day, datetime.combine(day, time(16, 30), UTC), exchange) for day in sessions],
        )
    return sessions


def add_assets(owner: Connection[TupleRow], assets: Sequence[Asset]) -> None:
    """The assets and their states."""
    with owner.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO financial_screener.assets (code, exchange_id, ticker, type, listed)"
            " SELECT %s, id, %s || '.' || code, %s, %s FROM financial_screener.exchanges"
            " WHERE code = %s",
            [(a.code, a.code, a.type, a.listed, a.exchange) for a in assets],
        )
        cursor.executemany(
            "INSERT INTO financial_screener.asset_processing_state"
            " (asset_id, ticker, prices_loaded, prices_checked_to, prices_checked_from,"
            "  fundamentals_loaded, next_fundamental_refresh, needs_prices_reprocess,"
            "  prices_changed_at, indicators_calculated, indicators_calculated_at,"
            "  prices_next_attempt_at, splits_checked_to, dividends_checked_to,"
            "  prices_refreshed_at)"
            " SELECT id, ticker, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s"
            " FROM financial_screener.assets WHERE ticker = %s",
            [
                (
                    a.checked_to is not None,
                    a.checked_to,
                    a.checked_from if a.checked_to else None,
                    a.fundamentals_next is not None,
                    a.fundamentals_next,
                    a.reprocess,
                    a.changed_at,
                    a.indicators_at is not None,
                    a.indicators_at,
                    a.prices_next_attempt_at,
                    a.actions_to if a.checked_to else None,
                    a.actions_to if a.checked_to else None,
                    a.refreshed_at if a.checked_to else None,
                    f"{a.code}.{a.exchange}",
                )
                for a in assets
            ],
        )


def open_execution(
    owner: Connection[TupleRow],
    execution_id: str,
    *,
    spec: dict[str, object] | None = None,
    max_calls: int | None = None,
    keep_calls: int = 0,
) -> None:
    """An execution as the operator opens it, with its budget."""
    owner.execute(
        "INSERT INTO financial_screener.process_executions (process_name, execution_id, parameters)"
        " VALUES ('data_collection_equities', %s, %s)",
        (execution_id, Jsonb({"name": execution_id, "namespace": "test", "spec": spec or {}})),
    )
    owner.execute(
        "INSERT INTO financial_screener.execution_budgets (execution_id, max_calls, keep_calls)"
        " VALUES (%s, %s, %s)",
        (execution_id, max_calls, keep_calls),
    )


def set_quota(owner: Connection[TupleRow], day: date, *, limit: int, used: int = 0) -> None:
    """The ledger row of a GMT day."""
    owner.execute(
        "INSERT INTO financial_screener.api_daily_quota (day, calls_limit, calls_used)"
        " VALUES (%s, %s, %s)",
        (day, limit, used),
    )
