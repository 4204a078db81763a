"""Adapter: connections to Postgres with the time-outs and settings that every program wants.

Never puts a connection string into a log or an error.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from screener_sql.errors import BadSetting, DatabaseUnreachable

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 300

_UNREACHABLE = (psycopg.OperationalError, psycopg.InterfaceError)


def _settings(application_name: str, statement_timeout_s: int) -> dict[str, Any]:
    return {
        "application_name": application_name,
        "connect_timeout": CONNECT_TIMEOUT_S,
        # A half-open connection must not hold an advisory lock, or hang its owner, for long.
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        # What it is worth in none of these statements it costs in each that reads partitions.
        "options": f"-c timezone=UTC -c jit=off -c statement_timeout={statement_timeout_s * 1000}"
        " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
        " -c idle_in_transaction_session_timeout=60000",
    }


def connect(
    dsn: str,
    *,
    application_name: str,
    autocommit: bool = False,
    statement_timeout_s: int = STATEMENT_TIMEOUT_S,
) -> psycopg.Connection[TupleRow]:
    """A connection in UTC. Raises DatabaseUnreachable, or BadSetting for a malformed `dsn`."""
    with translated():
        return psycopg.connect(
            dsn, autocommit=autocommit, **_settings(application_name, statement_timeout_s)
        )


async def connect_async(
    dsn: str,
    *,
    application_name: str,
    autocommit: bool = False,
    statement_timeout_s: int = STATEMENT_TIMEOUT_S,
) -> psycopg.AsyncConnection[TupleRow]:
    """As `connect`, for asyncio."""
    with translated():
        return await psycopg.AsyncConnection.connect(
            dsn, autocommit=autocommit, **_settings(application_name, statement_timeout_s)
        )


@contextmanager
def translated() -> Iterator[None]:
    """Turns what psycopg raises when Postgres is away or refuses into DatabaseUnreachable."""
    try:
        yield
    except psycopg.ProgrammingError as error:
        if error.sqlstate is not None:
            raise
        # Only libpq's parser of connection strings raises it without a state, and quotes them.
        raise BadSetting("DATABASE_URL is not a Postgres connection string") from None
    except _UNREACHABLE as error:
        raise DatabaseUnreachable(_describe(error)) from None


def _describe(error: psycopg.Error) -> str:
    """A sentence without host, user or password, which libpq's own texts may quote."""
    state = error.sqlstate
    text = str(error)
    if state in ("28P01", "28000") or "password authentication failed" in text:
        return "Postgres refuses the user name or password"
    if "does not exist" in text and "database" in text:
        return "Postgres has no such database"
    if state:
        return f"Postgres ended the statement or connection (SQLSTATE {state})"
    if "timeout expired" in text or "timed out" in text:
        return "Postgres does not answer in time"
    return "Postgres cannot be reached"
