"""Adapter: the API server, as the process node uses it. Every request has a time-out; errors are
ApiError or ApiUnreachable."""

import asyncio
import json
import ssl
import tempfile
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import yaml

from screener_local.node.types import JSON

REQUEST_TIMEOUT_S = 15
WATCH_S = 300
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"


class ApiError(Exception):
    """The API server refused a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class ApiUnreachable(Exception):
    """The API server does not answer."""


class Api:
    """A session with the API server of a kubeconfig with embedded certificates."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        user = config["users"][0]["user"]
        self.server: str = cluster["server"]
        self._tls = ssl.create_default_context(
            cadata=b64decode(cluster["certificate-authority-data"]).decode()
        )
        with tempfile.NamedTemporaryFile() as pem:
            pem.write(b64decode(user["client-certificate-data"]))
            pem.write(b64decode(user["client-key-data"]))
            pem.flush()
            self._tls.load_cert_chain(pem.name)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Api":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=64),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
            read_bufsize=2**22,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        body: JSON | None = None,
        *,
        params: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> JSON:
        """The answer's object."""
        assert self._session is not None
        try:
            async with self._session.request(
                method,
                self.server + path,
                data=None if body is None else json.dumps(body),
                params=params,
                headers={"Content-Type": content_type},
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiUnreachable(f"{method} {path}: {type(error).__name__}") from error
        document = _document(content)
        if answer.status >= 400:
            raise ApiError(answer.status, str(document.get("message", answer.reason)))
        return document

    async def watch(self, path: str, params: dict[str, str]) -> AsyncIterator[JSON]:
        """The events of a watch, until the server ends it."""
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=WATCH_S + 30)
        query = params | {"watch": "true", "timeoutSeconds": str(WATCH_S)}
        try:
            async with self._session.get(
                self.server + path, params=query, timeout=timeout
            ) as answer:
                if answer.status >= 400:
                    raise ApiError(answer.status, (await answer.text())[:500])
                async for line in answer.content:
                    yield json.loads(line)
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise ApiUnreachable(f"watch {path}: {type(error).__name__}") from error


def _document(content: bytes) -> JSON:
    try:
        document = json.loads(content)
    except ValueError:
        return {"message": content.decode(errors="replace")[:500]}
    return document if isinstance(document, dict) else {"message": str(document)[:500]}
