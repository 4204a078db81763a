"""Adapter: a statement that is sent again and again, at half of what a cursor costs its client.

Below psycopg's cursors, on the same connection: parsed once, its parameters as texts, its one row
read with the loaders of the connection.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from psycopg import AsyncConnection, errors
from psycopg.adapt import PyFormat, Transformer
from psycopg.generators import execute
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from screener_sql import query

_PARAMETER = re.compile(rb"%\((\w+)\)s")


class Statement:
    """The query `name`, of one row, prepared on a connection by its first use.

    It begins no transaction, so it is committed with itself whatever the connection's autocommit.
    Nothing else may use the connection meanwhile.
    """

    def __init__(self, connection: AsyncConnection[Any], name: str) -> None:
        self._connection = connection
        self._name = name.encode()
        self._parameters: list[str] = []
        self._formats: list[PyFormat] = []
        self._prepared = False
        self._values = Transformer.from_context(connection)

    async def row(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        """Its row. Raises what a cursor does: psycopg.Error."""
        server = self._connection.pgconn
        if not self._prepared:
            await self._prepare()
        values = [parameters[name] for name in self._parameters]
        server.send_query_prepared(self._name, self._values.dump_sequence(values, self._formats))
        self._values.set_pgresult(await self._answer())
        row: tuple[Any, ...] | None = self._values.load_row(0, tuple)
        assert row is not None, f"{self._name.decode()} returns a row"
        return row

    async def _prepare(self) -> None:
        def place(parameter: re.Match[bytes]) -> bytes:
            name = parameter[1].decode()
            if name not in self._parameters:
                self._parameters.append(name)
            return b"$%d" % (self._parameters.index(name) + 1)

        text = _PARAMETER.sub(place, query(self._name.decode()))
        self._formats = [PyFormat.TEXT] * len(self._parameters)
        self._connection.pgconn.send_prepare(self._name, text)
        await self._answer()
        self._prepared = True

    async def _answer(self) -> PGresult:
        """The result of what was sent. A cancelled task cancels the query, as with a cursor."""
        server = self._connection.pgconn
        answer = execute(server)
        if server.flush() == 0:
            try:
                await _readable(server.socket)
            except asyncio.CancelledError:
                waiting = asyncio.ensure_future(self._connection.wait(answer))
                asyncio.get_running_loop().call_soon(waiting.cancel)  # once it waits
                await asyncio.gather(waiting, return_exceptions=True)
                raise
            server.consume_input()
        # Has nothing more to wait for, but where the answer came in parts.
        result: PGresult
        (result,) = await self._connection.wait(answer)
        if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
            raise errors.error_from_result(result, self._connection.info.encoding)
        return result


async def _readable(file: int) -> None:
    """Returns when there is something to read: without a timer, a third of what a wait costs."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(file, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(file)


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
