"""Adapter: the node's HTTPS endpoint, of which only container logs are served, and only to the API
server."""

import contextlib
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from aiohttp import web

from screener_local.node import containerlog
from screener_local.node.podstatus import ContainerState

CLIENT = "kube-apiserver-kubelet-client"


class LogSource(Protocol):
    """Where the logs of the node's pods are."""

    def log_of(self, namespace: str, pod: str, container: str, previous: bool) -> Path | None:
        """None if the node does not know that pod or container, or it has no such run."""

    def state_of(self, namespace: str, pod: str, container: str) -> ContainerState | None:
        """None if the node does not know it, or the pod is over."""


class LogServer:
    """Serves logs on 127.0.0.1 until it is stopped."""

    def __init__(self, source: LogSource) -> None:
        self._source = source
        application = web.Application()
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    async def start(self, port: int, certificate: Path, key: Path, authority: Path) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        tls.load_verify_locations(authority)
        tls.verify_mode = ssl.CERT_REQUIRED
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=tls).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        if not _is_api_server(request):
            return web.Response(status=403, text="only the API server may read logs here")
        query = dict(request.query)
        where = (
            request.match_info["namespace"],
            request.match_info["pod"],
            request.match_info["container"],
        )
        previous = query.get("previous") == "true"
        path = self._source.log_of(*where, previous)
        if path is None:
            what = "previous terminated container" if previous else "container"
            return web.Response(
                status=400, text=f'{what} "{where[2]}" in pod "{where[1]}" not found'
            )
        state = self._source.state_of(*where)
        if not path.exists() and state is not None and "waiting" in state.state:
            reason = state.state["waiting"]["reason"]
            return web.Response(
                status=400,
                text=f'container "{where[2]}" in pod "{where[1]}" is waiting to start: {reason}',
            )
        try:
            wanted = containerlog.Wanted.from_query(query, datetime.now(UTC))
        except ValueError as error:
            return web.Response(status=400, text=f"bad query: {error}")

        run = None if state is None else state.container_id

        def ended() -> bool:
            now = self._source.state_of(*where)
            return previous or now is None or not now.running or now.container_id != run

        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        follow = query.get("follow") == "true"
        # A reader that goes away while following is how following usually ends.
        with contextlib.suppress(ConnectionResetError):
            async for chunk in containerlog.read(path, wanted, follow=follow, ended=ended):
                await response.write(chunk)
            await response.write_eof()
        return response


def _is_api_server(request: web.Request) -> bool:
    transport = request.transport
    peer = transport.get_extra_info("peercert") if transport else None
    subject = {key: value for part in (peer or {}).get("subject", ()) for key, value in part}
    return subject.get("commonName") == CLIENT
