"""Adapter: Postgres: one transaction of a worker, as those that write in it share it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from screener_collector.store import Cursor, insert_details, run
from screener_collector.work import Failure, Result


@dataclass(frozen=True, slots=True)
class Transaction:
    """A cursor in a transaction, and whose it is."""

    cursor: Cursor
    me: Mapping[str, Any]
    """`worker_id`, `execution_id`, `slice`: parameters of most statements."""

    @property
    def execution_id(self) -> str:
        """The run's."""
        return str(self.me["execution_id"])

    async def run(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """Runs `queries/collector/<name>.sql`; its rows."""
        return await run(self.cursor, name, {**self.me, **parameters})

    async def tell(self, details: Iterable[Mapping[str, Any]]) -> None:
        """Detail rows."""
        await insert_details(self.cursor, self.execution_id, details)


def detail(result: Result, operation: str, **more: Any) -> dict[str, Any]:
    """A detail row of a fetch that serves no single asset."""
    failure = result.came if isinstance(result.came, Failure) else None
    return {
        "asset_id": None,
        "ticker": None,
        "operation": operation,
        "state": failure.state if failure else "succeeded",
        "error_code": failure.error_code if failure else None,
        "message": failure.message if failure else None,
        "started_at": result.started_at,
        "ended_at": result.ended_at,
        **more,
    }


def storable(value: Any) -> Any:
    """The value as jsonb takes it: a number that is none in JSON becomes its text."""
    if isinstance(value, Mapping):
        return {key: storable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [storable(each) for each in value]
    return str(value) if isinstance(value, float) and value - value != 0 else value
