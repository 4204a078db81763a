"""The life of one pod on the process node: volumes, init containers, containers with restarts and
probes, its end."""

import asyncio
import contextlib
import json
import logging
import shutil
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from screener_local.background import ProcessIdentity
from screener_local.node import containerlog, probes
from screener_local.node.api import STRATEGIC_PATCH, Api, ApiError, ApiUnreachable
from screener_local.node.environment import (
    MissingReference,
    Unsupported,
    command_line,
    container_environment,
    references,
    unsupported_features,
)
from screener_local.node.events import Events
from screener_local.node.podstatus import (
    ContainerState,
    Verdict,
    backoff_s,
    from_json,
    lost,
    pod_status,
    restarts,
    terminated,
    timestamp,
)
from screener_local.node.process import (
    ContainerProcess,
    Exit,
    Launch,
    Mount,
    StartError,
    start,
)
from screener_local.node.types import JSON
from screener_local.node.volumes import Volumes, fetch

logger = logging.getLogger(__name__)

CONFIG_RETRY_S = 2.0
API_RETRY_S = 1.0
DEFAULT_MESSAGE_PATH = "/dev/termination-log"
MESSAGE_LOG_LINES, MESSAGE_LOG_BYTES = 80, 2048
BACKOFF_FORGOTTEN_S = 600.0
KEPT_RUNS = 2
"""Logs are kept of a container's run and the one before it, for `kubectl logs --previous`."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the node gives to every container."""

    environment: dict[str, str]
    """PATH and where the API server is; never anything of the node's own environment."""
    keep: tuple[Path, ...]
    """Folders that no volume may hide: the programs that stand in for images."""
    first_backoff_s: float
    longest_backoff_s: float


class Container:
    """A container of a pod, over all its runs."""

    def __init__(self, spec: JSON, initial: bool) -> None:
        self.spec = spec
        self.initial = initial
        self.name: str = spec["name"]
        self.state = ContainerState.waiting_for(
            self.name,
            spec.get("image", ""),
            "PodInitializing" if not initial else "ContainerCreating",
        )
        self.process: ContainerProcess | None = None
        self.launch: Launch | None = None
        self.failures = 0


class PodWorker:
    """Runs one pod. `update` tells it what the API server says, `forget` that the pod is gone
    there."""

    def __init__(
        self,
        api: Api,
        events: Events,
        pod: JSON,
        folder: Path,
        surroundings: Surroundings,
    ) -> None:
        self.pod = pod
        self.folder = folder
        self._api = api
        self._events = events
        self._surroundings = surroundings
        spec = pod["spec"]
        self._initial = [Container(c, True) for c in spec.get("initContainers") or []]
        self._main = [Container(c, False) for c in spec["containers"]]
        if not self._initial:
            for container in self._main:
                container.state = container.state.waiting("ContainerCreating")
        self._volumes = Volumes(api, pod, folder / "volumes")
        self._start_time = pod.get("status", {}).get("startTime") or timestamp(datetime.now(UTC))
        self._verdict: Verdict | None = None
        self._stopping = asyncio.Event()
        self._kill_at: float | None = None  # loop time; None: nothing is to be killed
        self._gone = False
        self._halted = False
        self._changed = asyncio.Event()
        self._sending = asyncio.Lock()
        self._terminated: set[ContainerProcess] = set()
        self._adopt()
        self.task = asyncio.create_task(self._run())

    # What the outside tells it

    def update(self, pod: JSON) -> None:
        """The pod as the API server has it now."""
        self.pod = pod
        metadata = pod["metadata"]
        if "deletionTimestamp" in metadata:
            grace = float(metadata.get("deletionGracePeriodSeconds", 30))
            if not self._stopping.is_set():
                self._event_killing()
            self._stop_within(grace)

    def forget(self) -> None:
        """The API server does not know the pod any more: nothing of it may live on."""
        self._gone = True
        self._stop_within(0)

    async def halt(self, grace_s: float) -> None:
        """The node goes: ends the processes and reports how they ended; the pod itself lives on."""
        self._halted = True
        self._stop_within(grace_s)
        await self.task

    def find(self, name: str) -> Container | None:
        return next((c for c in [*self._initial, *self._main] if c.name == name), None)

    def log_path(self, container: str, run: int) -> Path:
        return self.folder / "logs" / f"{container}_{run}.log"

    # Its life

    async def _run(self) -> None:
        # Whatever goes wrong here is this pod's matter only.
        reporter = asyncio.create_task(self._report())
        helpers: list[asyncio.Task[None]] = []
        try:
            if problems := unsupported_features(self.pod):
                self._fail("Unsupported", f"the process node does not have: {', '.join(problems)}")
            elif await self._make_volumes():
                helpers = [
                    asyncio.create_task(self._guard(self._volumes.keep_tokens_fresh)),
                    asyncio.create_task(self._deadline()),
                ]
                await self._run_containers()
        except Unsupported as error:
            self._fail("Unsupported", f"the process node does not have: {error}")
        except Exception:
            logger.exception("pod %s: the node failed", self._name)
            self._fail("NodeError", "the process node failed; its log says how")
        finally:
            for helper in helpers:
                helper.cancel()
            await self._end_processes()
            await self._finish(reporter)

    async def _run_containers(self) -> None:
        ending = asyncio.create_task(self._end_processes_when_asked())
        try:
            await self._run_in_order()
        finally:
            ending.cancel()

    async def _run_in_order(self) -> None:
        for container in self._initial:
            if container.state.exit_code != 0:
                await self._supervise(container)
            if self._stopping.is_set() or container.state.exit_code != 0:
                return
        for container in self._main:
            if container.state.state.get("waiting", {}).get("reason") == "PodInitializing":
                container.state = container.state.waiting("ContainerCreating")
        async with asyncio.TaskGroup() as group:
            for container in self._main:
                group.create_task(self._supervise(container))

    async def _supervise(self, container: Container) -> None:
        """Runs a container until it is not to be started again."""
        loop = asyncio.get_running_loop()
        policy = self.pod["spec"]["restartPolicy"]
        while not self._stopping.is_set():
            if (ended := container.state.exit_code) is not None:
                if not restarts(policy, ended, initial=container.initial):
                    return
                await self._back_off(container)
                if self._stopping.is_set():
                    return
            process = await self._launch(container)
            if process is None:
                continue
            began = loop.time()
            watchers = self._start_probes(container, process)
            try:
                if self._stopping.is_set():  # while it was being started
                    await self._end_processes()
                outcome = await process.wait()
            finally:
                for watcher in watchers:
                    watcher.cancel()
            if loop.time() - began > BACKOFF_FORGOTTEN_S:
                container.failures = 0
            container.failures += 1
            self._ended(container, outcome)

    async def _back_off(self, container: Container) -> None:
        pause = backoff_s(
            container.failures,
            first_s=self._surroundings.first_backoff_s,
            longest_s=self._surroundings.longest_backoff_s,
        )
        if pause:
            text = (
                f"back-off {pause:g}s restarting failed container={container.name}"
                f" pod={self.pod['metadata']['name']}"
            )
            self._events.warn(self.pod, "BackOff", text)
            self._set(container, container.state.waiting("CrashLoopBackOff", text))
            await self._pause(pause)
        count = container.state.restart_count + 1
        self._set(
            container, replace(container.state.waiting("ContainerCreating"), restart_count=count)
        )
        self.log_path(container.name, count - KEPT_RUNS).unlink(missing_ok=True)

    async def _launch(self, container: Container) -> ContainerProcess | None:
        """Starts the container's command; None if that did not work, which its state then says."""
        spec, run = container.spec, container.state.restart_count
        identity = f"process://{self.pod['metadata']['uid']}/{container.name}/{run}"
        try:
            launch = await self._prepare(container)
            process = await start(launch)
        except MissingReference as error:
            await self._not_yet(container, "CreateContainerConfigError", str(error))
            return None
        except (ApiError, ApiUnreachable) as error:
            await self._not_yet(container, "CreateContainerConfigError", str(error))
            return None
        except StartError as error:
            container.failures += 1
            now = datetime.now(UTC)
            ended = terminated(
                exit_code=128, signal=None, reason="StartError", message=str(error),
                started=now, finished=now, container_id=identity,
            )  # fmt: skip
            self._events.warn(self.pod, "Failed", f"Error: {error}")
            self._set(container, replace(container.state, state=ended, container_id=identity))
            return None
        container.process = process
        container.launch = launch
        self._remember(container, process.identity)
        self._events.tell(self.pod, "Started", f"Started container {container.name}")
        self._set(
            container,
            replace(
                container.state,
                state={"running": {"startedAt": timestamp(datetime.now(UTC))}},
                container_id=identity,
                started=not spec.get("startupProbe"),
                ready=not spec.get("readinessProbe") and not spec.get("startupProbe"),
            ),
        )
        return process

    async def _prepare(self, container: Container) -> Launch:
        spec = container.spec
        namespace = self.pod["metadata"]["namespace"]
        objects = {r: await fetch(self._api, namespace, r) for r in references(spec)}
        base = self._surroundings.environment | {"HOSTNAME": self.pod["metadata"]["name"]}
        environment = container_environment(spec, self.pod, objects, base)
        message = self._message_file(container)
        message.parent.mkdir(parents=True, exist_ok=True)
        message.write_bytes(b"")
        message.chmod(0o666)
        log = self.log_path(container.name, container.state.restart_count)
        log.parent.mkdir(parents=True, exist_ok=True)
        return Launch(
            command=command_line(spec, environment),
            environment=environment,
            folder=spec.get("workingDir") or "/",
            mounts=[
                *self._volumes.mounts(spec),
                Mount(message, spec.get("terminationMessagePath") or DEFAULT_MESSAGE_PATH),
            ],
            keep=self._surroundings.keep,
            scratch=self.folder / "root" / container.name,
            log=log,
        )

    async def _not_yet(self, container: Container, reason: str, message: str) -> None:
        if container.state.state.get("waiting", {}).get("message") != message:
            self._events.warn(self.pod, "Failed", f"Error: {message}")
        self._set(container, container.state.waiting(reason, message))
        await self._pause(CONFIG_RETRY_S)

    def _ended(self, container: Container, outcome: Exit) -> None:
        began = container.state.state["running"]["startedAt"]
        ended = terminated(
            exit_code=outcome.code,
            signal=outcome.signal,
            reason="Completed" if outcome.code == 0 else "Error",
            message=self._message(container, outcome.code),
            started=datetime.fromisoformat(began),
            finished=datetime.now(UTC),
            container_id=container.state.container_id,
        )
        container.process = None
        self._process_record(container).unlink(missing_ok=True)
        self._set(container, replace(container.state, state=ended, ready=False, started=False))

    def _message(self, container: Container, code: int) -> str:
        with self._message_file(container).open("rb") as file:
            text = file.read(4096).decode(errors="replace")
        policy = container.spec.get("terminationMessagePolicy")
        if not text and code != 0 and policy == "FallbackToLogsOnError":
            log = self.log_path(container.name, container.state.restart_count)
            text = containerlog.plain_tail(
                log, lines=MESSAGE_LOG_LINES, limit_bytes=MESSAGE_LOG_BYTES
            )
        return text

    # Probes

    def _start_probes(
        self, container: Container, process: ContainerProcess
    ) -> list[asyncio.Task[None]]:
        spec = container.spec
        if container.initial:
            return []

        def alive() -> bool:
            return container.process is process and not process.ended

        def set_ready(ready: bool) -> None:
            if alive() and container.state.ready != ready:
                self._set(container, replace(container.state, ready=ready))

        def kill(kind: str) -> Callable[[str], None]:
            def on_failure(why: str) -> None:
                if alive() and not ending:
                    self._events.tell(
                        self.pod,
                        "Killing",
                        f"Container {container.name} failed {kind} probe, will be restarted",
                    )
                    grace = (spec.get(f"{kind}Probe") or {}).get("terminationGracePeriodSeconds")
                    ending.append(asyncio.create_task(self._end_one(process, grace)))

            return on_failure

        def missed(kind: str) -> Callable[[str], None]:
            return lambda why: self._events.warn(
                self.pod, "Unhealthy", f"{kind.capitalize()} probe failed: {why}"
            )

        ending: list[asyncio.Task[None]] = []
        started = asyncio.Event()

        def on_started() -> None:
            if not started.is_set() and alive():
                started.set()
                ready = container.state.ready or not spec.get("readinessProbe")
                self._set(container, replace(container.state, started=True, ready=ready))

        async def after_start(
            kind: str, on_success: Callable[[], None], on_failure: Callable[[str], None]
        ) -> None:
            if kind != "startup":
                await started.wait()
            await probes.watch(
                spec[f"{kind}Probe"],
                spec,
                lambda command, timeout_s: self._exec(container, command, timeout_s),
                on_success=on_success,
                on_failure=on_failure,
                on_miss=missed(kind),
            )

        if not spec.get("startupProbe"):
            started.set()
        plans: dict[str, tuple[Callable[[], None], Callable[[str], None]]] = {
            "startup": (on_started, kill("startup")),
            "liveness": (lambda: None, kill("liveness")),
            "readiness": (lambda: set_ready(True), lambda _: set_ready(False)),
        }
        return [
            asyncio.create_task(self._guard(lambda k=kind, p=plan: after_start(k, *p)))  # type: ignore[misc]
            for kind, plan in plans.items()
            if spec.get(f"{kind}Probe")
        ]

    async def _exec(
        self, container: Container, command: list[str], timeout_s: float
    ) -> tuple[bool, str]:
        """A command in the container's surroundings; another process with the same volumes."""
        if container.launch is None:
            return False, "the container does not run"
        log = self.folder / "logs" / f"{container.name}.probe.log"
        log.unlink(missing_ok=True)
        scratch = self.folder / "root" / f"{container.name}.probe"
        try:
            process = await start(
                replace(container.launch, command=command, log=log, scratch=scratch)
            )
        except StartError as error:
            return False, str(error)
        try:
            outcome = await asyncio.wait_for(process.wait(), timeout_s)
        except TimeoutError:
            return False, f"command timed out after {timeout_s:g}s"
        finally:
            if not process.ended:
                await process.end(0)
        if outcome.code == 0:
            return True, ""
        return False, containerlog.plain_tail(log, lines=10, limit_bytes=1000).strip()

    async def _end_one(self, process: ContainerProcess, grace: float | None) -> None:
        spec_grace = self.pod["spec"].get("terminationGracePeriodSeconds", 30)
        await process.end(float(spec_grace if grace is None else grace))

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        """Helpers of a pod must not end it; what they meet is said and they are tried again."""
        while True:
            try:
                await work()
            except (ApiError, ApiUnreachable) as error:
                logger.warning("pod %s: %s", self._name, error)
            except Unsupported as error:
                self._events.warn(self.pod, "Unsupported", str(error))
                return
            await asyncio.sleep(API_RETRY_S)

    # The end

    def _stop_within(self, grace_s: float) -> None:
        """The pod is to end; a later call can only shorten its time."""
        kill_at = asyncio.get_running_loop().time() + grace_s
        self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)
        self._stopping.set()
        self._changed.set()

    async def _end_processes_when_asked(self) -> None:
        await self._stopping.wait()
        await self._end_processes()

    async def _end_processes(self) -> None:
        """SIGTERM, once, to every process that runs; SIGKILL when the grace is over."""
        loop = asyncio.get_running_loop()
        if self._kill_at is None:
            self._kill_at = loop.time()
        while processes := [
            c.process
            for c in [*self._initial, *self._main]
            if c.process is not None and not c.process.ended
        ]:
            for process in processes:
                if process not in self._terminated:
                    self._terminated.add(process)
                    process.signal(signal.SIGTERM)
                if loop.time() >= self._kill_at:
                    process.signal(signal.SIGKILL)
            await asyncio.sleep(0.02)

    async def _deadline(self) -> None:
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        if seconds is None:
            return
        since = datetime.fromisoformat(self._start_time)
        await asyncio.sleep(seconds - (datetime.now(UTC) - since).total_seconds())
        self._fail(
            "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
        )
        self._stop_within(float(self.pod["spec"].get("terminationGracePeriodSeconds", 30)))

    async def _finish(self, reporter: "asyncio.Task[None]") -> None:
        """Reports the last status, and if the pod is being deleted lets it go."""
        for container in [*self._initial, *self._main]:
            if container.process is not None:
                self._ended(container, await container.process.wait())
        deleted = self._stopping.is_set() and not self._halted and self._verdict is None
        if deleted:
            codes = [c.state.exit_code for c in self._main]
            well = bool(codes) and all(code == 0 for code in codes)
            self._verdict = Verdict("Succeeded" if well else "Failed")
        async with self._sending:  # an older status must not land after the last one
            reporter.cancel()
        if self._gone:
            return
        while not await self._send_status():
            if self._gone or self._halted:
                return
            await asyncio.sleep(API_RETRY_S)
        # Stays until the API server has no use for it: a pod that is being deleted goes now.
        if "deletionTimestamp" in self.pod["metadata"]:
            await self.let_go()

    async def let_go(self) -> None:
        """Tells the API server that nothing of a deleted pod is left here."""
        metadata = self.pod["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": metadata["uid"]},
        }
        while not self._gone:
            try:
                await self._api.request("DELETE", self._path, body)
                return
            except ApiError as error:
                if error.status in (404, 409):
                    return
                logger.warning("pod %s: %s", self._name, error)
            except ApiUnreachable as error:
                logger.warning("pod %s: %s", self._name, error)
            if self._halted:
                return
            await asyncio.sleep(API_RETRY_S)

    def _fail(self, reason: str, message: str) -> None:
        self._verdict = Verdict("Failed", reason, message)
        self._events.warn(self.pod, reason, message)
        self._changed.set()

    # What it tells

    @property
    def _name(self) -> str:
        return f"{self.pod['metadata']['namespace']}/{self.pod['metadata']['name']}"

    @property
    def _path(self) -> str:
        metadata = self.pod["metadata"]
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    def _event_killing(self) -> None:
        for container in [*self._initial, *self._main]:
            if container.process is not None:
                self._events.tell(self.pod, "Killing", f"Stopping container {container.name}")

    def _set(self, container: Container, state: ContainerState) -> None:
        container.state = state
        self._changed.set()

    async def _report(self) -> None:
        """Sends the status whenever it changed; the last one wins."""
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self._send_status():
                self._changed.set()
                await asyncio.sleep(API_RETRY_S)

    async def _send_status(self) -> bool:
        """False if it has to be sent again."""
        async with self._sending:
            return await self._send_locked()

    async def _send_locked(self) -> bool:
        # While containers still run, a pod that is to fail is not over yet.
        active = any(c.process is not None for c in [*self._initial, *self._main])
        status = pod_status(
            self.pod,
            [c.state for c in self._initial],
            [c.state for c in self._main],
            start_time=self._start_time,
            now=datetime.now(UTC),
            verdict=None if active else self._verdict,
        )
        body = {"metadata": {"uid": self.pod["metadata"]["uid"]}, "status": status}
        try:
            await self._api.request(
                "PATCH", f"{self._path}/status", body, content_type=STRATEGIC_PATCH
            )
        except ApiError as error:
            if error.status in (404, 409):  # gone, or another pod of that name
                return True
            logger.warning("pod %s: status refused: %s", self._name, error)
            return False
        except ApiUnreachable as error:
            logger.warning("pod %s: %s", self._name, error)
            return False
        return True

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _make_volumes(self) -> bool:
        """False if the pod is to end first."""
        said = ""
        while not self._stopping.is_set():
            try:
                await self._volumes.make()
                return True
            except (MissingReference, ApiError, ApiUnreachable) as error:
                if str(error) != said:
                    said = str(error)
                    self._events.warn(self.pod, "FailedMount", f"MountVolume failed: {error}")
                await self._pause(CONFIG_RETRY_S)
        return False

    # What survives the node

    def _message_file(self, container: Container) -> Path:
        return self.folder / "messages" / f"{container.name}_{container.state.restart_count}"

    def _process_record(self, container: Container) -> Path:
        return self.folder / "processes" / f"{container.name}.json"

    def _remember(self, container: Container, identity: ProcessIdentity | None) -> None:
        if identity is None:
            return
        record = self._process_record(container)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(asdict(identity)))

    def _adopt(self) -> None:
        """Takes over what an earlier life of the node reported: ended containers stay ended,
        running ones are lost."""
        status = self.pod.get("status") or {}
        for kind, containers in (
            ("initContainerStatuses", self._initial),
            ("containerStatuses", self._main),
        ):
            known = {s["name"]: from_json(s) for s in status.get(kind) or []}
            for container in containers:
                if container.name in known:
                    before = known[container.name]
                    container.state = lost(before, datetime.now(UTC))
                    container.failures = 0 if before.running else before.restart_count


def remove_pod_folder(folder: Path) -> None:
    """What is left of a pod that the API server does not know."""
    if folder.exists():
        shutil.rmtree(folder)
