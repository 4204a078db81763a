"""Adapter: events about pods, as `kubectl describe pod` shows them. Losing one is no harm: they are
said once, and logged."""

import asyncio
import logging
from datetime import UTC, datetime

from screener_local.node.api import Api, ApiError, ApiUnreachable
from screener_local.node.types import JSON

logger = logging.getLogger(__name__)


class Events:
    """Writes events in the name of the node."""

    def __init__(self, api: Api, node: str) -> None:
        self._api = api
        self._node = node
        self._pending: set[asyncio.Task[None]] = set()

    def tell(self, pod: JSON, reason: str, message: str) -> None:
        self._write(pod, "Normal", reason, message)

    def warn(self, pod: JSON, reason: str, message: str) -> None:
        self._write(pod, "Warning", reason, message)

    def _write(self, pod: JSON, kind: str, reason: str, message: str) -> None:
        metadata = pod["metadata"]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event: JSON = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "generateName": f"{metadata['name']}.",
                "namespace": metadata["namespace"],
            },
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "type": kind,
            "reason": reason,
            "message": message[:1000],
            "source": {"component": "process-node", "host": self._node},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        logger.info("pod %s/%s: %s: %s", metadata["namespace"], metadata["name"], reason, message)
        task = asyncio.create_task(self._send(event))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _send(self, event: JSON) -> None:
        namespace = event["metadata"]["namespace"]
        try:
            await self._api.request("POST", f"/api/v1/namespaces/{namespace}/events", event)
        except (ApiError, ApiUnreachable) as error:
            logger.warning("an event was not stored: %s", error)
