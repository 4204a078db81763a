"""Adapter: starts and stops the process node (`screener_local.node`) of a local control plane."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from screener_local.background import BackgroundProcess, bare_environment
from screener_local.controlplane import ControlPlane
from screener_local.errors import PartFailed
from screener_local.ports import Ports

PART = "process-node"
READY_TIMEOUT_S = 30


def check_namespaces() -> None:
    """Raises PartFailed where this user may not make mount namespaces, without which there are no
    volumes."""
    launcher = Path(__file__).with_name("node") / "launcher.py"
    with tempfile.TemporaryDirectory() as folder:
        answer = subprocess.run(
            [sys.executable, "-I", "-S", str(launcher), "--check", folder],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    if answer.returncode != 0:
        raise PartFailed(
            PART,
            (answer.stdout + answer.stderr).strip(),
            hint="run as root, or allow unprivileged user namespaces"
            " (sysctl kernel.unprivileged_userns_clone=1,"
            " kernel.apparmor_restrict_unprivileged_userns=0); in a container also CAP_SYS_ADMIN",
        )


class ProcessNode:
    """The node kept in `state`, with the credentials of `cluster`."""

    def __init__(self, state: Path, cluster: ControlPlane) -> None:
        self._state = state
        self._cluster = cluster
        self._ports = Ports(state)
        self._process = BackgroundProcess(PART, state)

    def running(self) -> bool:
        return self._process.running()

    def start(self) -> None:
        """Returns when the node is Ready and takes pods. Raises PartFailed."""
        if not self._process.running():
            check_namespaces()
            serving = self._cluster.serving_pair()
            self._process.start(
                [
                    sys.executable,
                    "-m",
                    "screener_local.node",
                    f"--kubeconfig={self._cluster.node_kubeconfig}",
                    f"--name={self._cluster.node_name}",
                    f"--state={self._state / 'node'}",
                    f"--port={self._ports.for_start(PART)}",
                    f"--certificate={serving.certificate}",
                    f"--key={serving.key}",
                    f"--authority={self._cluster.authority}",
                ],
                bare_environment(),
            )
        self._process.wait_ready(self.ready, READY_TIMEOUT_S)

    def ready(self) -> bool:
        """Whether the API server has the node as Ready, without a taint that keeps pods away."""
        answer = subprocess.run(
            [
                self._cluster.tools.program("kubectl"),
                f"--kubeconfig={self._cluster.kubeconfig}",
                "get",
                "node",
                self._cluster.node_name,
                "--output=json",
                "--request-timeout=5s",
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if answer.returncode != 0:
            return False
        node = json.loads(answer.stdout)
        conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}
        return conditions.get("Ready") == "True" and not node["spec"].get("taints")

    def stop(self, grace_s: float = 12) -> None:
        """Its containers end first, within their grace."""
        self._process.stop(grace_s)

    def kill(self) -> None:
        """As a crash would: at once, its containers with it."""
        self._process.stop(0, number=9)
