"""How fast the operator reacts, and how little it needs."""

import statistics
import subprocess
from collections.abc import Iterator
from time import monotonic

import psutil

from screener_local.background import bare_environment
from screener_local.bench.figures import Figure
from screener_local.bench.systems import local_system
from screener_local.errors import PartFailed
from screener_local.runs import apply, ended, watch
from screener_local.system import LocalSystem

NAMES = ("reaction_s", "operator_rss_mib")
REACTIONS = 20
REACTION_TIMEOUT_S = 30
RUN_TIMEOUT_S = 120
MIB = 1024 * 1024


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


def measure() -> Iterator[Figure]:
    with local_system() as system:
        reactions = [reaction_s(system, number) for number in range(REACTIONS)]
        yield Figure("reaction_s", statistics.median(reactions), "s")
        yield Figure("operator_rss_mib", operator_rss_mib(system), "MiB")
