"""Figures of the product on this machine, on a system of its own that is removed afterwards.

Prints one line a figure: name value unit baseline ratio, with - where there is none.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

import psutil

from screener_local.background import bare_environment
from screener_local.errors import PartFailed
from screener_local.runs import apply, ended, watch
from screener_local.system import LocalSystem

REACTIONS = 20
REACTION_TIMEOUT_S = 30
RUN_TIMEOUT_S = 120
MIB = 1024 * 1024


def figure(name: str, value: float, unit: str) -> None:
    """One line of the bench; the figures here have no baseline to be set beside."""
    print(f"{name} {value:.3g} {unit} - -", flush=True)


def reaction_s(system: LocalSystem, number: int) -> float:
    """Seconds from `kubectl apply` of a run until its first Job is there.

    The run is a dry one of a single code, so that it ends at once. Raises PartFailed.
    """
    name = f"bench-{number}"
    kubectl = [
        str(system.cluster.tools.program("kubectl")),
        f"--kubeconfig={system.cluster.kubeconfig}",
    ]
    with subprocess.Popen(
        [*kubectl, "get", "jobs", "--watch-only", "--output=name"],
        env=bare_environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout is not None
        try:
            spec = {
                "groups": [{"name": "g", "exchanges": ["SW"], "symbols": ["X"]}],
                "dryRun": True,
            }
            # Until the watch stands its first line could be missed.
            system.kubectl.ask(name, "get", "jobs")
            began = monotonic()
            apply(system.kubectl, "CollectionRun", name, spec)
            for line in watching.stdout:
                if name in line:
                    reaction = monotonic() - began
                    break
            else:
                raise PartFailed("bench", "the watch of Jobs ended", hint="make bench again")
        finally:
            watching.kill()
    for _ in watch(system.kubectl, "collectionrun", name, until=ended, timeout_s=RUN_TIMEOUT_S):
        pass
    return reaction


def operator_rss_mib(system: LocalSystem) -> float:
    """Resident memory of the operator's process: the one that talks to this system's API server."""
    port = system.cluster.server.rpartition(":")[2]
    for process in psutil.process_iter(["cmdline", "memory_info", "environ"]):
        command, environment = process.info["cmdline"] or [], process.info["environ"] or {}
        ours = environment.get("KUBERNETES_SERVICE_PORT") == port
        if ours and any(part.endswith("screener-operator") for part in command):
            return float(process.info["memory_info"].rss) / MIB
    raise PartFailed("bench", "the operator's process was not found", hint="make bench again")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="screener-bench-") as folder:
        system = LocalSystem(
            Path(folder), say=lambda line: print(f"# {line}", file=sys.stderr, flush=True)
        )
        try:
            system.start()
            reactions = [reaction_s(system, number) for number in range(REACTIONS)]
            figure("reaction_s", statistics.median(reactions), "s")
            figure("operator_rss_mib", operator_rss_mib(system), "MiB")
        finally:
            system.stop()
            system.postgres.wipe()
    return os.EX_OK
