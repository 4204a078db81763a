"""Adapter: puts the product into a local system: schema, logins, kinds, roles, Secrets, operator,
CronJobs.

Everything is applied on the server's side and can be applied again.
"""

import hashlib
import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from screener_local.background import bare_environment
from screener_local.controlplane import NAMESPACE, ControlPlane
from screener_local.errors import PartFailed
from screener_local.manifests import OPERATOR, for_local_system, secret
from screener_local.paths import CRDS, DEPLOY, PROGRAMS, PROJECT
from screener_local.postgres import Postgres

MIGRATE_TIMEOUT_S = 120
SERVED_TIMEOUT_S = 30
OPERATOR_TIMEOUT_S = 90
FIELD_MANAGER = "make-up"


class Kubectl:
    """kubectl with the administrator's credentials. Secrets go through standard input only."""

    def __init__(self, cluster: ControlPlane) -> None:
        self._program = cluster.tools.program("kubectl")
        self._kubeconfig = cluster.kubeconfig

    def run(
        self, *arguments: str, stdin: str | None = None, timeout_s: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Runs it, whatever its exit code."""
        return subprocess.run(
            [self._program, f"--kubeconfig={self._kubeconfig}", *arguments],
            input=stdin,
            env=bare_environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def ask(
        self, part: str, *arguments: str, stdin: str | None = None, timeout_s: float = 60
    ) -> str:
        """What it prints. Raises PartFailed, in the name of the part that needed it."""
        answer = self.run(*arguments, stdin=stdin, timeout_s=timeout_s)
        if answer.returncode != 0:
            raise PartFailed(
                part,
                f"kubectl {arguments[0]} was refused",
                log_tail="\n".join(answer.stderr.splitlines()[-15:]),
                hint="the manifests in crds/ and deploy/ and the API server must fit together;"
                " its log is kube-apiserver.log",
            )
        return answer.stdout

    def apply(self, part: str, documents: list[dict[str, Any]]) -> None:
        self.ask(
            part,
            "apply",
            "--server-side",
            "--force-conflicts",
            f"--field-manager={FIELD_MANAGER}",
            "--filename=-",
            stdin=yaml.safe_dump_all(documents),
        )


def prepare_database(postgres: Postgres) -> None:
    """Migrations, and the programs' logins. Raises PartFailed."""
    answer = subprocess.run(
        [PROGRAMS / "screener-migrate"],
        env=bare_environment() | {"DATABASE_URL": postgres.owner_url},
        capture_output=True,
        text=True,
        timeout=MIGRATE_TIMEOUT_S,
        check=False,
    )
    if answer.returncode != 0:
        raise PartFailed(
            "migrations",
            f"screener-migrate ended with code {answer.returncode}",
            log_tail="\n".join((answer.stdout + answer.stderr).splitlines()[-15:]),
            hint="make down WIPE=1 removes the data, if it may go",
        )
    postgres.make_logins()


def install(
    cluster: ControlPlane,
    *,
    database_urls: Mapping[str, str],
    vendor_url: str,
    vendor_token: str,
    health_port: int,
    operator_environment: Mapping[str, str],
) -> None:
    """Applies everything and waits until the kinds are served. Raises PartFailed."""
    kubectl = Kubectl(cluster)
    kinds = [
        document
        for file in sorted(CRDS.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text())
        if document
    ]
    kubectl.apply("kinds", kinds)
    names = [f"crd/{kind['metadata']['name']}" for kind in kinds]
    kubectl.ask("kinds", "wait", "--for=condition=Established", "--timeout=30s", *names)
    _wait_until_served(kubectl, [kind["spec"]["names"]["plural"] for kind in kinds])
    rendered = kubectl.ask("manifests", "kustomize", str(DEPLOY))
    documents = for_local_system(
        [document for document in yaml.safe_load_all(rendered) if document],
        environment={"EODHD_BASE_URL": vendor_url, **operator_environment},
        health_port=health_port,
        code=code_version(),
    )
    namespaces = [d for d in documents if d["kind"] == "Namespace"]
    kubectl.apply("namespace", namespaces)
    secrets = [
        secret("postgres-secret", NAMESPACE, database_urls),
        secret("data-api-secrets", NAMESPACE, {"EODHD_API_TOKEN": vendor_token}),
    ]
    for document in documents:
        if document["kind"] == "CronJob":
            document["spec"].setdefault("suspend", True)
    kubectl.apply("manifests", secrets + [d for d in documents if d["kind"] != "Namespace"])


def _wait_until_served(kubectl: Kubectl, plurals: list[str]) -> None:
    """An established kind's storage may still be made, and answers 429 until it is."""
    deadline = time.monotonic() + SERVED_TIMEOUT_S
    for plural in plurals:
        while kubectl.run("get", plural, "--all-namespaces").returncode != 0:
            if time.monotonic() > deadline:
                kubectl.ask("kinds", "get", plural, "--all-namespaces")
            time.sleep(0.1)


def wait_for_operator(cluster: ControlPlane) -> None:
    """Returns when the operator answers its readiness probe. Raises PartFailed with its last
    lines."""
    kubectl = Kubectl(cluster)
    answer = kubectl.run(
        "rollout",
        "status",
        f"deployment/{OPERATOR}",
        f"--namespace={NAMESPACE}",
        f"--timeout={OPERATOR_TIMEOUT_S}s",
        timeout_s=OPERATOR_TIMEOUT_S + 30,
    )
    if answer.returncode == 0:
        return
    selector = "--selector=app.kubernetes.io/component=operator"
    where = (f"--namespace={NAMESPACE}", selector)
    pods = json.loads(kubectl.run("get", "pods", *where, "--output=json").stdout or "{}")
    states = [
        json.dumps(status.get("state"))
        for pod in pods.get("items", [])
        for status in pod.get("status", {}).get("containerStatuses", [])
    ]
    log = kubectl.run("logs", *where, "--tail=20").stdout
    previous = "" if log else kubectl.run("logs", *where, "--tail=20", "--previous").stdout
    raise PartFailed(
        "operator",
        f"its Deployment is not ready after {OPERATOR_TIMEOUT_S} s ({'; '.join(states)})",
        log_tail=log or previous,
        hint=f"kubectl describe pods --selector=app.kubernetes.io/component=operator"
        f" --namespace={NAMESPACE}",
    )


def code_version(root: Path = PROJECT) -> str:
    """Changes when the operator's code does: its pod is replaced then."""
    digest = hashlib.sha256()
    for folder in ("operator", "sql"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in (".py", ".sql") and file.is_file():
                digest.update(str(file.relative_to(root)).encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
