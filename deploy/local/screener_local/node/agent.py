"""The process node itself: registers a Node, keeps it Ready, and gives each pod that is bound to it
a worker."""

import asyncio
import json
import logging
import os
import platform
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from screener_local.background import ProcessIdentity
from screener_local.node.api import STRATEGIC_PATCH, WATCH_S, Api, ApiError, ApiUnreachable
from screener_local.node.events import Events
from screener_local.node.pod import PodWorker, Surroundings, remove_pod_folder
from screener_local.node.podstatus import ADDRESS, ContainerState, timestamp
from screener_local.node.types import JSON

logger = logging.getLogger(__name__)

HEARTBEAT_S = 10.0
STATUS_S = 60.0
LEASE_S = 40
RETRY_S = 1.0
HALT_GRACE_S = 8.0
CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "250", "ephemeral-storage": "1Ti"}
"""Requests and limits are not enforced here, so they must not keep a pod from being scheduled
either."""


class Agent:
    """A node of the name that `api`'s credentials are for."""

    def __init__(
        self, api: Api, name: str, state: Path, log_port: int, surroundings: Surroundings
    ) -> None:
        self._api = api
        self._name = name
        self._pods_folder = state / "pods"
        self._log_port = log_port
        self._surroundings = surroundings
        self._events = Events(api, name)
        self._workers: dict[str, PodWorker] = {}
        self._known: dict[tuple[str, str], JSON] = {}
        self._ready_since = timestamp(datetime.now(UTC))

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then ends all containers and reports how they ended."""
        self._pods_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._kill_orphans()
        await self._retrying(self._register)
        tasks = [
            asyncio.create_task(self._heartbeats()),
            asyncio.create_task(self._follow_pods()),
        ]
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        broken = [task for task in tasks if task.done()]
        for task in (*tasks, stopped):
            task.cancel()
        await asyncio.gather(*(w.halt(HALT_GRACE_S) for w in self._workers.values()))
        for task in broken:
            task.result()

    # The logs' source

    def log_of(self, namespace: str, pod: str, container: str, previous: bool) -> Path | None:
        known = self._known.get((namespace, pod))
        if known is None:
            return None
        state = self.state_of(namespace, pod, container)
        if state is not None:
            run = state.restart_count
        else:
            reported = _statuses(known).get(container)
            if reported is None:
                return None
            run = int(reported.get("restartCount", 0))
        if previous and run == 0:
            return None
        folder = self._pods_folder / str(known["metadata"]["uid"])
        return folder / "logs" / f"{container}_{run - 1 if previous else run}.log"

    def state_of(self, namespace: str, pod: str, container: str) -> ContainerState | None:
        known = self._known.get((namespace, pod))
        worker = self._workers.get(known["metadata"]["uid"]) if known else None
        found = worker.find(container) if worker else None
        return found.state if found else None

    # The node

    async def _register(self) -> None:
        node: JSON = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self._name,
                "labels": {
                    "kubernetes.io/hostname": self._name,
                    "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": _architecture(),
                },
            },
        }
        try:
            await self._api.request("POST", "/api/v1/nodes", node)
        except ApiError as error:
            if error.status != 409:
                raise
        await self._post_status()
        await self._renew_lease()
        logger.info("node %s is registered", self._name)

    async def _heartbeats(self) -> None:
        """A Lease renewal alone does not heal a node after an outage: after a miss its status is
        posted again."""
        healthy = True
        posted = time.monotonic()
        while True:
            await asyncio.sleep(HEARTBEAT_S if healthy else RETRY_S)
            try:
                await self._renew_lease()
                if not healthy or time.monotonic() - posted > STATUS_S or not await self._ready():
                    await self._post_status()
                    posted = time.monotonic()
                healthy = True
            except (ApiError, ApiUnreachable) as error:
                healthy = False
                logger.warning("heartbeat: %s", error)

    async def _ready(self) -> bool:
        node = await self._api.request("GET", f"/api/v1/nodes/{self._name}")
        conditions = {c["type"]: c["status"] for c in node["status"].get("conditions") or []}
        return conditions.get("Ready") == "True"

    async def _post_status(self) -> None:
        now = timestamp(datetime.now(UTC))

        def condition(kind: str, status: str, reason: str) -> JSON:
            return {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": "",
                "lastHeartbeatTime": now,
                "lastTransitionTime": self._ready_since,
            }

        status: JSON = {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "addresses": [
                {"type": "InternalIP", "address": ADDRESS},
                {"type": "Hostname", "address": self._name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._log_port}},
            "conditions": [
                condition("Ready", "True", "ProcessNodeReady"),
                condition("MemoryPressure", "False", "NotMeasured"),
                condition("DiskPressure", "False", "NotMeasured"),
                condition("PIDPressure", "False", "NotMeasured"),
            ],
            "nodeInfo": {
                "kubeletVersion": "process-node",
                "containerRuntimeVersion": "process://1",
                "osImage": "this machine, no images",
                "operatingSystem": "linux",
                "architecture": _architecture(),
                "kernelVersion": platform.release(),
                "machineID": "",
                "systemUUID": "",
                "bootID": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
                "kubeProxyVersion": "",
            },
        }
        await self._api.request(
            "PATCH",
            f"/api/v1/nodes/{self._name}/status",
            {"status": status},
            content_type=STRATEGIC_PATCH,
        )

    async def _renew_lease(self) -> None:
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        spec = {
            "holderIdentity": self._name,
            "leaseDurationSeconds": LEASE_S,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        try:
            await self._api.request(
                "PATCH",
                f"{path}/{self._name}",
                {"spec": spec},
                content_type="application/merge-patch+json",
            )
        except ApiError as error:
            if error.status != 404:
                raise
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name, "namespace": "kube-node-lease"},
                "spec": spec,
            }
            await self._api.request("POST", path, lease)

    # Its pods

    async def _follow_pods(self) -> None:
        selector = {"fieldSelector": f"spec.nodeName={self._name}"}
        while True:
            try:
                listed = await self._api.request("GET", "/api/v1/pods", params=selector)
                self._see_all(listed["items"])
                version = listed["metadata"]["resourceVersion"]
                began = time.monotonic()
                async for event in self._api.watch(
                    "/api/v1/pods",
                    selector | {"resourceVersion": version, "allowWatchBookmarks": "true"},
                ):
                    if event["type"] == "ERROR":
                        break
                    if event["type"] == "DELETED":
                        self._lose(event["object"])
                    elif event["type"] in ("ADDED", "MODIFIED"):
                        self._see(event["object"])
                if time.monotonic() - began < WATCH_S / 2:
                    await asyncio.sleep(RETRY_S)
            except (ApiError, ApiUnreachable) as error:
                logger.warning("pods: %s", error)
                await asyncio.sleep(RETRY_S)

    def _see_all(self, pods: list[JSON]) -> None:
        present = {pod["metadata"]["uid"] for pod in pods}
        for pod in list(self._known.values()):
            if pod["metadata"]["uid"] not in present:
                self._lose(pod)
        for folder in self._pods_folder.iterdir():
            if folder.name not in present and folder.name not in self._workers:
                remove_pod_folder(folder)
        for pod in pods:
            self._see(pod)

    def _see(self, pod: JSON) -> None:
        metadata = pod["metadata"]
        self._known[(metadata["namespace"], metadata["name"])] = pod
        worker = self._workers.get(metadata["uid"])
        if worker is None:
            over = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
            if over and "deletionTimestamp" not in metadata:
                return
            worker = PodWorker(
                self._api,
                self._events,
                pod,
                self._pods_folder / metadata["uid"],
                self._surroundings,
            )
            self._workers[metadata["uid"]] = worker
            worker.update(pod)
        elif worker.task.done() and "deletionTimestamp" in metadata:
            worker.pod = pod
            self._spawn(worker.let_go())
        else:
            worker.update(pod)

    def _lose(self, pod: JSON) -> None:
        metadata = pod["metadata"]
        name = (metadata["namespace"], metadata["name"])
        if self._known.get(name, pod)["metadata"]["uid"] == metadata["uid"]:
            self._known.pop(name, None)
        worker = self._workers.get(metadata["uid"])
        if worker is not None:
            worker.forget()
            self._spawn(self._clear(worker, metadata["uid"]))

    async def _clear(self, worker: PodWorker, uid: str) -> None:
        await asyncio.wait([worker.task])
        self._workers.pop(uid, None)
        remove_pod_folder(worker.folder)

    def _kill_orphans(self) -> None:
        """What an earlier life of this node left running; its pods are reported as lost."""
        for record in self._pods_folder.glob("*/processes/*.json"):
            identity = ProcessIdentity(**json.loads(record.read_text()))
            if ProcessIdentity.of(identity.pid) in (identity, None):
                # The group's number is not given away while anything of the group lives.
                try:
                    os.killpg(identity.pid, signal.SIGKILL)
                    logger.warning("killed what was left of process group %d", identity.pid)
                except ProcessLookupError:
                    pass
            record.unlink()

    def _spawn(self, work: "Awaitable[None]") -> None:
        task = asyncio.ensure_future(work)
        _background.add(task)
        task.add_done_callback(_background.discard)

    async def _retrying(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await work()
            except (ApiError, ApiUnreachable) as error:
                logger.warning("%s", error)
                await asyncio.sleep(RETRY_S)


_background: "set[asyncio.Future[None]]" = set()


def _statuses(pod: JSON) -> dict[str, JSON]:
    status = pod.get("status") or {}
    found = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return {s["name"]: s for s in found}


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}.get(
        platform.machine(), platform.machine()
    )
