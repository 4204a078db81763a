"""The process node on a control plane of its own: what the real controllers see of its pods."""

import json
import os
import signal
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from system_fixture import session_folder

from screener_local.controlplane import ControlPlane
from screener_local.install import Kubectl
from screener_local.ports import Ports
from screener_local.processnode import PART, ProcessNode
from screener_local.tools import find_or_build

pytestmark = pytest.mark.e2e

JSON = dict[str, Any]
WAIT_S = 25


class NodeCluster:
    """A control plane with a process node and nothing else in it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.plane = ControlPlane(state, lambda: find_or_build(print))
        self.node = ProcessNode(state, self.plane)
        self.kubectl = Kubectl(self.plane)

    def apply(self, *documents: JSON) -> None:
        self.kubectl.ask("test", "apply", "--filename=-", stdin=yaml.safe_dump_all(documents))

    def get(self, kind: str, name: str) -> JSON:
        text = self.kubectl.ask("test", "get", kind, name, "--output=json")
        return dict(json.loads(text))

    def pod(self, name: str) -> JSON:
        return self.get("pod", name)

    def container(self, name: str) -> JSON:
        """The status of a pod's only container; empty if there is none yet."""
        statuses = self.pod(name)["status"].get("containerStatuses") or [{}]
        return dict(statuses[0])

    def until_phase(self, name: str, phase: str) -> JSON:
        until(lambda: self.pod(name)["status"].get("phase") == phase, f"{name} {phase}")
        return self.pod(name)

    def logs(self, *arguments: str) -> str:
        return self.kubectl.ask("test", "logs", *arguments)


@pytest.fixture(scope="module")
def cluster() -> Iterator[NodeCluster]:
    with session_folder("node") as folder:
        cluster = NodeCluster(folder / "state")
        # A secret in the node's own surroundings that no container may see.
        os.environ["NODES_OWN_SECRET"] = "not-for-pods"
        try:
            cluster.plane.start()
            cluster.node.start()
            cluster.kubectl.ask("test", "config", "set-context", "--current", "--namespace=default")
            until(
                lambda: cluster.kubectl.run("get", "serviceaccount", "default").returncode == 0,
                "the default service account",
            )
            yield cluster
        finally:
            del os.environ["NODES_OWN_SECRET"]
            cluster.node.stop()
            cluster.plane.stop()


def until(holds: Callable[[], object], what: str, seconds: float = WAIT_S) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.1)


def shell(script: str, **more: Any) -> JSON:
    """A container of one shell script, in which `$$` stands for `$`, as in any command of a pod."""
    return {"name": "main", "image": "none", "command": ["sh", "-c", script], **more}


def pod(name: str, *containers: JSON, policy: str = "Never", **more: Any) -> JSON:
    metadata = {"name": name, **more.pop("metadata", {})}
    spec = {
        "restartPolicy": policy,
        "terminationGracePeriodSeconds": 1,
        "containers": list(containers),
        **more,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def job(name: str, container: JSON, **spec: Any) -> JSON:
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": template, **spec},
    }


# --- ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "phase", "code", "number", "reason"),
    [
        pytest.param("exit 0", "Succeeded", 0, None, "Completed", id="a clean end"),
        pytest.param("exit 3", "Failed", 3, None, "Error", id="an exit code"),
        pytest.param("kill -KILL $$$$", "Failed", 137, 9, "Error", id="a signal is told"),
    ],
)
def test_how_a_process_ended_is_reported(
    cluster: NodeCluster, script: str, phase: str, code: int, number: int | None, reason: str
) -> None:
    name = f"ends-{code}"
    cluster.apply(pod(name, shell(script)))
    cluster.until_phase(name, phase)
    ended = cluster.container(name)["state"]["terminated"]
    assert (ended["exitCode"], ended.get("signal"), ended["reason"]) == (code, number, reason)
    assert ended["startedAt"] <= ended["finishedAt"]


def test_a_command_that_is_not_there_is_named(cluster: NodeCluster) -> None:
    cluster.apply(pod("no-command", {"name": "main", "image": "none", "command": ["no-such"]}))
    cluster.until_phase("no-command", "Failed")
    ended = cluster.container("no-command")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert '"no-such"' in ended["message"]


def test_what_the_node_does_not_have_is_named(cluster: NodeCluster) -> None:
    volume = {"name": "host", "hostPath": {"path": "/etc"}}
    cluster.apply(pod("host-path", shell("true"), volumes=[volume]))
    status = cluster.until_phase("host-path", "Failed")["status"]
    assert status["reason"] == "Unsupported"
    assert "hostPath" in status["message"]


@pytest.mark.parametrize(
    ("name", "script", "policy", "expected"),
    [
        ("file", "echo a > /dev/termination-log; echo no; exit 1", None, "a\n"),
        ("log", "echo a; echo b >&2; exit 1", "FallbackToLogsOnError", "a\nb\n"),
        ("well", "echo no", "FallbackToLogsOnError", None),
        ("none", "echo no; exit 1", None, None),
    ],
    ids=["the file", "the log where the file is empty", "no log of a clean end", "no log unasked"],
)  # fmt: skip
def test_a_termination_message_comes_from(
    cluster: NodeCluster, name: str, script: str, policy: str | None, expected: str | None
) -> None:
    more = {"terminationMessagePolicy": policy} if policy else {}
    cluster.apply(pod(f"message-{name}", shell(script, **more)))
    until(lambda: "terminated" in cluster.container(f"message-{name}").get("state", {}), name)
    ended = cluster.container(f"message-{name}")["state"]["terminated"]
    assert ended.get("message") == expected


# --- restarts ---------------------------------------------------------------------------------


def test_always_restarts_and_backs_off(cluster: NodeCluster) -> None:
    cluster.apply(pod("always", shell("exit 5"), policy="Always"))
    until(
        lambda: (
            cluster.container("always").get("restartCount", 0) >= 2
            and cluster.container("always")["state"].get("waiting", {}).get("reason")
            == "CrashLoopBackOff"
        ),
        "a back-off",
    )
    status = cluster.container("always")
    assert status["lastState"]["terminated"]["exitCode"] == 5
    assert "back-off" in status["state"]["waiting"]["message"]
    assert cluster.pod("always")["status"]["phase"] == "Running"
    cluster.kubectl.ask("test", "delete", "pod", "always")


def test_on_failure_restarts_only_what_failed(cluster: NodeCluster) -> None:
    script = "test -e /data/second && exit 0; touch /data/second; exit 1"
    mounts = [{"name": "data", "mountPath": "/data"}]
    cluster.apply(
        pod(
            "on-failure",
            shell(script, volumeMounts=mounts),
            policy="OnFailure",
            volumes=[{"name": "data", "emptyDir": {}}],
        )
    )
    cluster.until_phase("on-failure", "Succeeded")
    assert cluster.container("on-failure")["restartCount"] == 1


def test_init_containers_go_first_and_in_order(cluster: NodeCluster) -> None:
    mounts = [{"name": "data", "mountPath": "/data/deep"}]
    first = shell("sleep 0.3; echo first >> /data/deep/order", volumeMounts=mounts)
    second = shell("echo second >> /data/deep/order", volumeMounts=mounts)
    main = shell("echo main >> /data/deep/order; cat /data/deep/order", volumeMounts=mounts)
    cluster.apply(
        pod(
            "initial",
            main,
            initContainers=[first | {"name": "first"}, second | {"name": "second"}],
            volumes=[{"name": "data", "emptyDir": {}}],
        )
    )
    cluster.until_phase("initial", "Succeeded")
    assert cluster.logs("initial").split() == ["first", "second", "main"]
    assert not Path("/data/deep").exists()  # mount points are made in the container's own tree


def test_a_failed_init_container_ends_the_pod(cluster: NodeCluster) -> None:
    cluster.apply(
        pod("init-fails", shell("true"), initContainers=[shell("exit 4") | {"name": "first"}])
    )
    status = cluster.until_phase("init-fails", "Failed")["status"]
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert "waiting" in status["containerStatuses"][0]["state"]


# --- environment and volumes ------------------------------------------------------------------


def test_the_environment_is_the_pods_alone(cluster: NodeCluster) -> None:
    data = {"text": "from-config"}
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "env"}, "data": data}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "env"},
        "stringData": {"key": "from-secret"},
    }
    env: list[JSON] = [
        {"name": "PLAIN", "value": "a"},
        {"name": "EXPANDED", "value": "$(PLAIN)-$$(PLAIN)-$(UNKNOWN)"},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "env", "key": "key"}}},
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['side']"}}},
        {
            "name": "MEMORY",
            "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
        },
    ]
    container = {
        "name": "main",
        "image": "none",
        "command": ["env"],
        "env": env,
        "envFrom": [{"configMapRef": {"name": "env"}, "prefix": "C_"}],
        "resources": {"limits": {"memory": "64Mi"}},
    }
    cluster.apply(settings, secret)
    cluster.apply(pod("environment", container, metadata={"labels": {"side": "left"}}))
    cluster.until_phase("environment", "Succeeded")
    seen = dict(line.split("=", 1) for line in cluster.logs("environment").splitlines())
    assert seen.pop("PATH").split(":")[0].endswith(".venv/bin")
    assert (
        f"https://{seen.pop('KUBERNETES_SERVICE_HOST')}:{seen.pop('KUBERNETES_SERVICE_PORT')}"
        == (cluster.plane.server)
    )
    del seen["KUBERNETES_SERVICE_PORT_HTTPS"]
    assert seen == {
        "HOME": "/",
        "HOSTNAME": "environment",
        "PLAIN": "a",
        "EXPANDED": "a-$(PLAIN)-$(UNKNOWN)",
        "SECRET": "from-secret",
        "LABEL": "left",
        "MEMORY": "64",
        "C_text": "from-config",
    }


def test_a_pods_token_opens_the_api_server_at_its_real_address(cluster: NodeCluster) -> None:
    script = """
import os, ssl, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
url = "https://%(KUBERNETES_SERVICE_HOST)s:%(KUBERNETES_SERVICE_PORT)s" % os.environ
request = urllib.request.Request(
    url + "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    data=b'{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}',
    headers={"Content-Type": "application/json"},
)
request.add_header("Authorization", "Bearer " + open(folder + "token").read())
context = ssl.create_default_context(cafile=folder + "ca.crt")
print(urllib.request.urlopen(request, context=context).read().decode())
print(open(folder + "namespace").read())
"""
    container = {"name": "main", "image": "none", "command": ["python", "-c", script]}
    cluster.apply(pod("token", container))
    cluster.until_phase("token", "Succeeded")
    review, _, namespace = cluster.logs("token").rstrip().rpartition("\n")
    user = json.loads(review)["status"]["userInfo"]
    assert user["username"] == "system:serviceaccount:default:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["token"]
    assert namespace == "default"


def test_volumes_are_where_the_pod_names_them(cluster: NodeCluster) -> None:
    data = {"a.txt": "alpha", "b.txt": "beta"}
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "files"},
        "data": data,
    }
    script = (
        "cat /etc/of-a-test/a.txt /srv/renamed; cat /etc/pod/labels; ls /etc/of-a-test;"
        " echo x > /etc/of-a-test/c || echo read-only; echo x > /tmp/mine && ls /tmp | grep mine"
    )
    mounts = [
        {"name": "all", "mountPath": "/etc/of-a-test"},
        {"name": "one", "mountPath": "/srv/renamed", "subPath": "there"},
        {"name": "pod", "mountPath": "/etc/pod"},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    labels = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    volumes: list[JSON] = [
        {"name": "all", "configMap": {"name": "files"}},
        {
            "name": "one",
            "configMap": {"name": "files", "items": [{"key": "b.txt", "path": "there"}]},
        },
        {"name": "pod", "projected": {"sources": [{"downwardAPI": {"items": [labels]}}]}},
        {"name": "tmp", "emptyDir": {}},
    ]
    cluster.apply(settings)
    cluster.apply(
        pod(
            "volumes",
            shell(script, volumeMounts=mounts),
            volumes=volumes,
            metadata={"labels": {"colour": "red"}},
        )
    )
    cluster.until_phase("volumes", "Succeeded")
    text = cluster.logs("volumes")
    assert text.startswith('alphabetacolour="red"a.txt\nb.txt\n')
    assert text.endswith("read-only\nmine\n")
    assert not Path("/etc/of-a-test").exists()
    assert not Path("/tmp/mine").exists()


def test_a_missing_secret_is_named_and_waited_for(cluster: NodeCluster) -> None:
    env = [{"name": "S", "valueFrom": {"secretKeyRef": {"name": "late", "key": "key"}}}]
    cluster.apply(pod("late", shell("echo $S", env=env)))

    def message() -> str:
        waiting = cluster.container("late").get("state", {}).get("waiting", {})
        if waiting.get("reason") != "CreateContainerConfigError":
            return ""
        return str(waiting["message"])

    until(lambda: message() == 'secret "late" not found', "the missing Secret")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "late"}}
    cluster.apply(secret | {"stringData": {"other": "x"}})
    until(lambda: message() == "couldn't find key key in Secret default/late", "the missing key")
    cluster.apply(secret | {"stringData": {"key": "here at last"}})
    cluster.until_phase("late", "Succeeded")
    assert cluster.logs("late") == "here at last\n"
    assert cluster.container("late")["restartCount"] == 0


# --- probes -----------------------------------------------------------------------------------


def test_readiness_follows_its_probe(cluster: NodeCluster) -> None:
    port = Ports(cluster.state).get("a-pod-of-a-test")
    server = (
        "import http.server, os\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(503 if os.path.exists('/data/off') else 200)\n"
        "        self.end_headers()\n"
        "    def log_message(self, *a): pass\n"
        f"http.server.HTTPServer(('127.0.0.1', {port}), H).serve_forever()\n"
    )
    mounts = [{"name": "data", "mountPath": "/data"}]
    container = {
        "name": "main",
        "image": "none",
        "command": ["python", "-c", server],
        "ports": [{"name": "web", "containerPort": port}],
        "volumeMounts": mounts,
        "readinessProbe": {
            "httpGet": {"path": "/", "port": "web"},
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
        "livenessProbe": {
            "tcpSocket": {"port": port},
            "periodSeconds": 1,
            "initialDelaySeconds": 2,
        },
    }
    switch = shell("sleep 3; touch /data/off; sleep 60", volumeMounts=mounts) | {"name": "switch"}
    volumes = [{"name": "data", "emptyDir": {}}]
    cluster.apply(pod("ready", container, switch, volumes=volumes))

    def ready() -> str:
        conditions = cluster.pod("ready")["status"].get("conditions") or []
        return str({c["type"]: c["status"] for c in conditions}.get("Ready"))

    until(lambda: ready() == "True", "Ready")
    until(lambda: ready() == "False", "not Ready")
    assert [s["restartCount"] for s in cluster.pod("ready")["status"]["containerStatuses"]] == [
        0,
        0,
    ]
    cluster.kubectl.ask("test", "delete", "pod", "ready")


def test_liveness_and_startup_probes_restart_a_container(cluster: NodeCluster) -> None:
    probe: JSON = {"exec": {"command": ["test", "-e", "/data/alive"]}, "periodSeconds": 1}
    probe["timeoutSeconds"] = 10
    mounts = [{"name": "data", "mountPath": "/data"}]
    script = "sleep 1.5; touch /data/alive; sleep 4; rm /data/alive; sleep 60"
    container = shell(
        script,
        volumeMounts=mounts,
        startupProbe=probe | {"failureThreshold": 10},
        livenessProbe=probe | {"failureThreshold": 1},
    )
    volumes = [{"name": "data", "emptyDir": {}}]
    cluster.apply(pod("lively", container, policy="Always", volumes=volumes))
    until(lambda: cluster.container("lively").get("started"), "the startup probe")
    assert cluster.container("lively")["restartCount"] == 0
    until(lambda: cluster.container("lively").get("restartCount") == 1, "a restart")
    ended = cluster.container("lively")["lastState"]["terminated"]
    assert (ended["exitCode"], ended["signal"]) == (143, 15)
    events = cluster.kubectl.ask("test", "get", "events", "--output=json")
    said = {(e["involvedObject"]["name"], e["reason"]) for e in json.loads(events)["items"]}
    assert {("lively", "Unhealthy"), ("lively", "Killing")} <= said
    cluster.kubectl.ask("test", "delete", "pod", "lively")


# --- deletion and deadlines -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "script", "code"),
    [
        ("polite", "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done", 7),
        ("stubborn", "trap '' TERM; echo up; while :; do sleep 0.1; done", 137),
    ],
    ids=["SIGTERM comes first", "SIGKILL when the grace is over"],
)
def test_a_deleted_pod_has_its_grace(
    cluster: NodeCluster, name: str, script: str, code: int
) -> None:
    # A finalizer keeps the pod visible after the node let it go.
    cluster.apply(pod(name, shell(script), metadata={"finalizers": ["a.test/hold"]}))
    until(lambda: cluster.kubectl.run("logs", name).stdout == "up\n", "the process")
    began = time.monotonic()
    cluster.kubectl.ask("test", "delete", "pod", name, "--wait=false")
    cluster.until_phase(name, "Failed")
    assert time.monotonic() - began < 4
    assert cluster.container(name)["state"]["terminated"]["exitCode"] == code
    patch = '{"metadata": {"finalizers": null}}'
    cluster.kubectl.ask("test", "patch", "pod", name, "--type=merge", f"--patch={patch}")
    until(lambda: cluster.kubectl.run("get", "pod", name).returncode != 0, "its removal")


def test_nothing_of_a_deleted_pod_is_left(cluster: NodeCluster) -> None:
    # The second process ignores SIGTERM and outlives its parent's end.
    script = "(trap '' TERM; sleep 300 & echo $!; wait) & wait"
    cluster.apply(pod("family", shell(script)))
    until(lambda: cluster.kubectl.run("logs", "family").stdout.strip(), "the processes")
    child = int(cluster.logs("family"))
    uid = cluster.pod("family")["metadata"]["uid"]
    assert Path(f"/proc/{child}").exists()
    cluster.kubectl.ask("test", "delete", "pod", "family")
    until(lambda: not Path(f"/proc/{child}").exists(), "the end of its processes")
    until(lambda: not (cluster.state / "node/pods" / uid).exists(), "the end of its folder")


def test_a_pods_deadline_ends_it(cluster: NodeCluster) -> None:
    cluster.apply(pod("deadline", shell("trap '' TERM; sleep 60"), activeDeadlineSeconds=1))
    status = cluster.until_phase("deadline", "Failed")["status"]
    assert status["reason"] == "DeadlineExceeded"
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


# --- logs -------------------------------------------------------------------------------------


def test_logs_are_served_as_kubectl_asks(cluster: NodeCluster) -> None:
    script = "echo one; sleep 2.2; echo two; echo three; test -e /data/x && sleep 60; touch /data/x"
    mounts = [{"name": "data", "mountPath": "/data"}]
    volumes = [{"name": "data", "emptyDir": {}}]
    cluster.apply(pod("logs", shell(script, volumeMounts=mounts), policy="Always", volumes=volumes))
    until(lambda: cluster.kubectl.run("logs", "logs").stdout == "one\n", "the first line")
    assert cluster.logs("logs", "--follow") == "one\ntwo\nthree\n"  # returns at the run's end
    until(lambda: cluster.container("logs").get("restartCount") == 1, "the second run")
    until(lambda: cluster.logs("logs").count("\n") == 3, "its lines")
    assert cluster.logs("logs", "--tail=1") == "three\n"
    assert cluster.logs("logs", "--previous") == "one\ntwo\nthree\n"
    assert cluster.logs("logs", "--since=2s") == "two\nthree\n"
    stamp, text = cluster.logs("logs", "--timestamps", "--tail=1").split()
    assert stamp.startswith("20") and stamp.endswith("Z") and text == "three"
    refused = cluster.kubectl.run("logs", "logs", "--container=other")
    assert refused.returncode != 0 and "other" in refused.stderr
    cluster.kubectl.ask("test", "delete", "pod", "logs")


def test_only_the_api_server_may_read_logs_from_the_node(cluster: NodeCluster) -> None:
    url = f"https://127.0.0.1:{Ports(cluster.state).get(PART)}/containerLogs/default/logs/main"
    context = ssl.create_default_context(cafile=str(cluster.plane.authority))
    with pytest.raises(OSError):
        urllib.request.urlopen(url, context=context, timeout=5)
    certificates = cluster.state / "certificates"
    context.load_cert_chain(certificates / "administrator.crt", certificates / "administrator.key")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, context=context, timeout=5)
    assert refused.value.code == 403
    refused.value.close()


# --- controllers ------------------------------------------------------------------------------


def failed_because(cluster: NodeCluster, name: str) -> str:
    conditions = cluster.get("job", name)["status"].get("conditions") or []
    return next((c["reason"] for c in conditions if c["type"] == "Failed"), "")


def test_a_jobs_limits_are_the_real_controllers(cluster: NodeCluster) -> None:
    policy = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}
    cluster.apply(
        job("once", shell("exit 1"), backoffLimit=0),
        job("refused", shell("exit 42"), backoffLimit=6, podFailurePolicy=policy),
        job("done", shell("true"), backoffLimit=0),
    )
    until(lambda: failed_because(cluster, "once") == "BackoffLimitExceeded", "the back-off limit")
    until(lambda: failed_because(cluster, "refused") == "PodFailurePolicy", "the failure policy")
    until(lambda: cluster.get("job", "done")["status"].get("succeeded") == 1, "the good Job")
    assert cluster.get("job", "refused")["status"]["failed"] == 1


def test_a_deleted_job_takes_its_pod_along(cluster: NodeCluster) -> None:
    cluster.apply(job("owner", shell("echo $$$$; sleep 300")))
    selector = "--selector=batch.kubernetes.io/job-name=owner"
    until(lambda: cluster.kubectl.run("logs", selector).stdout.strip(), "the process")
    process = int(cluster.logs(selector))
    cluster.kubectl.ask("test", "delete", "job", "owner")
    until(lambda: not Path(f"/proc/{process}").exists(), "the end of its process")
    until(
        lambda: "No resources" in cluster.kubectl.run("get", "pods", selector).stderr,
        "the end of its pod",
    )


# --- the node's own death ---------------------------------------------------------------------


def test_pods_are_told_of_after_the_node_died(cluster: NodeCluster) -> None:
    cluster.apply(
        pod("survivor", shell("echo $$$$; sleep 300"), policy="Always"),
        pod("casualty", shell("sleep 300")),
        pod("deleted", shell("sleep 300 & echo $!; wait")),
    )
    for name in ("survivor", "casualty", "deleted"):
        cluster.until_phase(name, "Running")
    until(lambda: cluster.kubectl.run("logs", "deleted").stdout.strip(), "the processes")
    child = int(cluster.logs("deleted"))
    first = int(cluster.logs("survivor"))
    cluster.node.kill()
    until(lambda: not Path(f"/proc/{first}").exists(), "the end of what the node had started")
    cluster.kubectl.ask("test", "delete", "pod", "deleted", "--wait=false")
    cluster.node.start()
    until(lambda: cluster.kubectl.run("get", "pod", "deleted").returncode != 0, "its removal")
    until(lambda: not Path(f"/proc/{child}").exists(), "the end of an orphan")
    cluster.until_phase("casualty", "Failed")
    ended = cluster.container("casualty")["state"]["terminated"]
    assert ended["reason"] == "ContainerStatusUnknown"
    until(lambda: cluster.container("survivor").get("restartCount") == 1, "a restart")
    until(lambda: cluster.container("survivor")["ready"], "readiness")
    lost = cluster.container("survivor")["lastState"]["terminated"]
    assert (lost["exitCode"], lost["reason"]) == (137, "ContainerStatusUnknown")
    with pytest.raises(ProcessLookupError):
        os.kill(first, signal.SIGCONT)


def test_a_stopped_node_says_how_its_containers_ended(cluster: NodeCluster) -> None:
    cluster.apply(pod("stopped", shell("trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done")))
    until(lambda: cluster.kubectl.run("logs", "stopped").stdout == "up\n", "the process")
    cluster.node.stop()
    assert cluster.pod("stopped")["status"]["phase"] == "Failed"
    assert cluster.container("stopped")["state"]["terminated"]["exitCode"] == 9
    cluster.node.start()
