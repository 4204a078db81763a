"""Pure: the status that the process node reports for a pod, from the states of its containers. No
clock, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from screener_local.node.types import JSON

ADDRESS = "127.0.0.1"
LONGEST_MESSAGE_BYTES = 4096


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What is reported of one container. `state` and `last_state` have the shape of the API's
    ContainerState."""

    name: str
    image: str
    state: JSON
    last_state: JSON = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    restart_count: int = 0
    container_id: str = ""

    @classmethod
    def waiting_for(cls, name: str, image: str, reason: str) -> "ContainerState":
        return cls(name, image, {"waiting": {"reason": reason}})

    @property
    def running(self) -> bool:
        return "running" in self.state

    @property
    def exit_code(self) -> int | None:
        """None unless it has ended."""
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])

    def waiting(self, reason: str, message: str = "") -> "ContainerState":
        """Waits to be started (again); what it ended with before moves to `last_state`."""
        ended = self.state.get("terminated")
        waiting: JSON = {"reason": reason}
        if message:
            waiting["message"] = message
        return replace(
            self,
            state={"waiting": waiting},
            last_state={"terminated": ended} if ended else self.last_state,
            ready=False,
            started=False,
        )

    def to_json(self) -> JSON:
        return {
            "name": self.name,
            "image": self.image,
            "imageID": "",
            "containerID": self.container_id,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restart_count,
        }


def from_json(status: JSON) -> ContainerState:
    """What an earlier life of the node reported."""
    return ContainerState(
        name=status["name"],
        image=status.get("image", ""),
        state=status.get("state") or {},
        last_state=status.get("lastState") or {},
        ready=bool(status.get("ready")),
        started=bool(status.get("started")),
        restart_count=int(status.get("restartCount", 0)),
        container_id=status.get("containerID", ""),
    )


def terminated(
    *,
    exit_code: int,
    signal: int | None,
    reason: str,
    message: str,
    started: datetime | None,
    finished: datetime,
    container_id: str,
) -> JSON:
    """A state of a container that has ended; the message is cut to what the API allows."""
    cut = message.encode()[-LONGEST_MESSAGE_BYTES:].decode(errors="ignore")
    state: JSON = {
        "exitCode": exit_code,
        "reason": reason,
        "finishedAt": timestamp(finished),
        "containerID": container_id,
    }
    if started is not None:
        state["startedAt"] = timestamp(started)
    if signal:
        state["signal"] = signal
    if cut:
        state["message"] = cut
    return {"terminated": state}


def lost(state: ContainerState, now: datetime) -> ContainerState:
    """A container that was running when the node died: it has ended, nobody knows how."""
    if not state.running:
        return state
    ended = terminated(
        exit_code=137,
        signal=None,
        reason="ContainerStatusUnknown",
        message="The node was started again and the container's process was gone.",
        started=None,
        finished=now,
        container_id=state.container_id,
    )
    started = state.state["running"].get("startedAt")
    if started:
        ended["terminated"]["startedAt"] = started
    return replace(state, state=ended, ready=False, started=False)


def restarts(policy: str, exit_code: int, *, initial: bool) -> bool:
    """Whether a container that ended is started again."""
    if initial:
        return policy != "Never" and exit_code != 0
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def phase(policy: str, initial: Sequence[ContainerState], main: Sequence[ContainerState]) -> str:
    """The pod's phase, as the kubelet derives it."""
    for state in initial:
        if state.exit_code == 0:
            continue
        if state.exit_code is not None and policy == "Never":
            return "Failed"
        return "Pending"
    running = [s for s in main if s.running]
    ended = [_ended_with(s) for s in main]
    if any(not s.running and code is None for s, code in zip(main, ended, strict=True)):
        return "Pending"
    if running or policy == "Always":
        return "Running"
    if all(code == 0 for code in ended):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def _ended_with(state: ContainerState) -> int | None:
    if state.running:
        return None
    ended = state.state.get("terminated") or state.last_state.get("terminated")
    return None if ended is None else int(ended["exitCode"])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a pod has ended, where its containers do not say it."""

    phase: str
    reason: str = ""
    message: str = ""


def pod_status(
    pod: JSON,
    initial: Sequence[ContainerState],
    main: Sequence[ContainerState],
    *,
    start_time: str,
    now: datetime,
    verdict: Verdict | None = None,
) -> JSON:
    """The status to report. Conditions keep the time of their last change from the pod's own
    status."""
    current = verdict.phase if verdict else phase(pod["spec"]["restartPolicy"], initial, main)
    over = current in ("Succeeded", "Failed")
    initialised = all(state.exit_code == 0 for state in initial)
    unready = [state.name for state in main if not state.ready]
    if over:
        ready = {"reason": "PodCompleted" if current == "Succeeded" else "PodFailed"}
    elif unready:
        ready = {
            "reason": "ContainersNotReady",
            "message": f"containers with unready status: [{' '.join(unready)}]",
        }
    else:
        ready = {}
    wanted: dict[str, tuple[bool, JSON]] = {
        "PodReadyToStartContainers": (not over, {}),
        "Initialized": (
            initialised,
            {} if initialised else {"reason": "ContainersNotInitialized"},
        ),
        "ContainersReady": (not ready, ready),
        "Ready": (not ready, ready),
    }
    before = {c["type"]: c for c in pod.get("status", {}).get("conditions") or []}
    conditions = []
    for kind, (holds, why) in wanted.items():
        status = "True" if holds else "False"
        old = before.get(kind)
        same = old is not None and old["status"] == status
        since = old["lastTransitionTime"] if old is not None and same else timestamp(now)
        # Null takes away what an earlier status said.
        blank: JSON = {"reason": None, "message": None}
        conditions.append(
            blank | why | {"type": kind, "status": status, "lastTransitionTime": since}
        )
    return {
        "phase": current,
        "reason": verdict.reason or None if verdict else None,
        "message": verdict.message or None if verdict else None,
        "startTime": start_time,
        "hostIP": ADDRESS,
        "hostIPs": [{"ip": ADDRESS}],
        "podIP": ADDRESS,
        "podIPs": [{"ip": ADDRESS}],
        "conditions": conditions,
        "initContainerStatuses": [state.to_json() for state in initial],
        "containerStatuses": [state.to_json() for state in main],
        "observedGeneration": pod["metadata"].get("generation", 0),
    }


def backoff_s(failures: int, *, first_s: float, longest_s: float) -> float:
    """Seconds before the next start after so many ended ones: at once, then doubling from
    `first_s`."""
    if failures <= 1:
        return 0.0
    return float(min(longest_s, first_s * 2 ** min(failures - 2, 30)))
