"""Adapter: runs as a person with kubectl has them: apply one, look at it, wait for its end."""

import json
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any

from screener_local.errors import PartFailed
from screener_local.install import Kubectl

API_VERSION = "financial-screener.io/v1alpha1"
POLL_S = 0.5

Run = dict[str, Any]


def apply(kubectl: Kubectl, kind: str, name: str, spec: dict[str, Any]) -> str:
    """Applies a CollectionRun or IndicatorRun; what kubectl said. Raises PartFailed."""
    manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
    return kubectl.ask(name, "apply", "--filename=-", stdin=json.dumps(manifest)).strip()


def look(kubectl: Kubectl, kind: str, name: str) -> Run:
    """The run as it is now. Raises PartFailed."""
    found: Run = json.loads(kubectl.ask(name, "get", kind, name, "--output=json"))
    return found


def watch(
    kubectl: Kubectl, kind: str, name: str, *, until: Callable[[Run], bool], timeout_s: float
) -> Iterator[Run]:
    """The run each time its version changed; the last is the first of which `until` holds.

    Raises PartFailed, also when that takes longer than `timeout_s`.
    """
    deadline = monotonic() + timeout_s
    version = None
    while True:
        run = look(kubectl, kind, name)
        if run["metadata"]["resourceVersion"] != version:
            version = run["metadata"]["resourceVersion"]
            yield run
            if until(run):
                return
        if monotonic() > deadline:
            raise PartFailed(
                name,
                f"it did not end within {timeout_s:.0f} s",
                log_tail=run.get("status", {}).get("message", "it has no status yet"),
                hint=f"kubectl describe {kind} {name}; the pods' logs are in .local/logs",
            )
        sleep(POLL_S)


def ended(run: Run) -> bool:
    """Whether a CollectionRun or IndicatorRun has ended, whatever its outcome."""
    return bool(run.get("status", {}).get("completionTime"))
