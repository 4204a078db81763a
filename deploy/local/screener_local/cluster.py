"""Adapter: the cluster as a person with kubectl uses it: apply, get, wait."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

TIMEOUT_S = 30
POLL_S = 0.5


class KubectlFailed(Exception):
    """kubectl ended with an error; the message is what it printed."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl with a kubeconfig whose context names the namespace."""

    program: Path
    kubeconfig: Path

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints. Raises KubectlFailed."""
        done = subprocess.run(
            [str(self.program), "--kubeconfig", str(self.kubeconfig), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise KubectlFailed(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def apply(self, manifest: dict[str, Any]) -> str:
        """Applies one object; what kubectl said."""
        return self("apply", "-f", "-", stdin=json.dumps(manifest)).strip()

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """One object."""
        found: dict[str, Any] = json.loads(self("get", kind, name, "-o", "json"))
        return found

    def watch(
        self, kind: str, name: str, *, until: Callable[[dict[str, Any]], bool], timeout_s: float
    ) -> Iterator[dict[str, Any]]:
        """The object each time its version changed, until `until` holds of it (which comes last).

        Raises TimeoutError.
        """
        deadline = monotonic() + timeout_s
        version = None
        while True:
            found = self.get(kind, name)
            if found["metadata"]["resourceVersion"] != version:
                version = found["metadata"]["resourceVersion"]
                yield found
                if until(found):
                    return
            if monotonic() > deadline:
                message = found.get("status", {}).get("message", "no status yet")
                raise TimeoutError(f"{kind} {name} did not end in {timeout_s:.0f} s: {message}")
            sleep(POLL_S)


def ended(run: dict[str, Any]) -> bool:
    """Whether a CollectionRun or IndicatorRun has ended, whatever its outcome."""
    return bool(run.get("status", {}).get("completionTime"))
