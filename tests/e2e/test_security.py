"""What each part may do: its rights in the cluster, its pods, and the scheduler's way to a run."""

import json
from typing import Any

import pytest
import yaml
from e2e_world import NAMESPACE, UNKNOWN, World, group

from screener_local.paths import DEPLOY

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_runs")]

RUNS = ("collectionruns", "indicatorruns")
GROUP = "financial-screener.io"

RIGHTS = {
    "screener-operator": {
        f"{GROUP} collectionruns": {"get", "list", "watch"},
        f"{GROUP} indicatorruns": {"get", "list", "watch", "create"},
        f"{GROUP} collectionruns/status": {"update"},
        f"{GROUP} indicatorruns/status": {"update"},
        f"{GROUP} collectionruns/finalizers": {"update"},
        f"{GROUP} indicatorruns/finalizers": {"update"},
        "batch jobs": {"get", "list", "watch", "create"},
        " pods": {"list"},
        "events.k8s.io events": {"create"},
    },
    "screener-schedule": {f"{GROUP} collectionruns": {"create", "get"}},
    "screener-worker": {},
    "default": {},
}
"""By ServiceAccount, of its namespace: group and resource, and the verbs."""

EVERYBODY = {"authorization.k8s.io", "authentication.k8s.io"}
"""Groups in which every user may ask who they are and what they may do."""


@pytest.mark.parametrize("account", RIGHTS, ids=lambda account: f"{account} may just this")
def test_an_account_may_just_what_it_needs(world: World, account: str) -> None:
    review = ask_as(
        world,
        account,
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": NAMESPACE},
        },
    )
    found: dict[str, set[str]] = {}
    for rule in review["status"]["resourceRules"]:
        assert "resourceNames" not in rule
        for api_group in rule["apiGroups"]:
            for resource in rule["resources"]:
                if api_group not in EVERYBODY:
                    found.setdefault(f"{api_group} {resource}", set()).update(rule["verbs"])
    assert found == RIGHTS[account]


@pytest.mark.parametrize(
    ("account", "verb", "resource"),
    [
        pytest.param("screener-operator", "get", "secrets", id="the operator reads no Secret"),
        pytest.param("screener-operator", "list", "secrets", id="nor lists them"),
        pytest.param("screener-operator", "create", "pods", id="makes no pods"),
        pytest.param("screener-operator", "delete", "jobs", id="deletes no Jobs"),
        pytest.param("screener-operator", "patch", "jobs", id="changes no Jobs"),
        pytest.param("screener-operator", "update", f"collectionruns.{GROUP}", id="nor a spec"),
        pytest.param("screener-operator", "create", f"collectionruns.{GROUP}", id="nor makes one"),
        pytest.param("screener-operator", "delete", f"collectionruns.{GROUP}", id="nor deletes it"),
        pytest.param("screener-operator", "list", "nodes", id="sees nothing of the cluster"),
        pytest.param("screener-schedule", "delete", f"collectionruns.{GROUP}", id="the scheduler"),
        pytest.param("screener-schedule", "create", "jobs", id="the scheduler makes no Jobs"),
        pytest.param("screener-worker", "get", "pods", id="a worker may nothing"),
        pytest.param("screener-worker", "get", "secrets", id="not even read its Secret"),
    ],
)
def test_what_an_account_may_not(world: World, account: str, verb: str, resource: str) -> None:
    answer = world.system.kubectl.run(
        "auth", "can-i", verb, resource, f"--as=system:serviceaccount:{NAMESPACE}:{account}"
    )
    assert answer.stdout.strip() == "no", answer.stderr


def test_the_operator_may_nothing_in_other_namespaces(world: World) -> None:
    for what in ("jobs", "secrets", f"collectionruns.{GROUP}"):
        answer = world.system.kubectl.run(
            "auth", "can-i", "list", what, "--namespace=default",
            f"--as=system:serviceaccount:{NAMESPACE}:screener-operator",
        )  # fmt: skip
        assert answer.stdout.strip() == "no"


def ask_as(world: World, account: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = world.system.kubectl.run(
        "create", "--raw", path, "--filename=-",
        f"--as=system:serviceaccount:{NAMESPACE}:{account}",
        "--as-group=system:authenticated", "--as-group=system:serviceaccounts",
        stdin=json.dumps(body),
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


# Pods


def test_workers_get_one_secret_each_and_no_token_of_the_cluster(world: World) -> None:
    """Those of a whole run: preflight, group, indicators."""
    world.know("MC")
    uid = world.create("pods", [group("g", "MC", world.codes("MC", 1))], indicators=True)
    run = world.finish("pods")
    child = world.run(run["status"]["indicatorRun"], "IndicatorRun")
    pods = [*world.api.pods(uid), *world.api.pods(child["metadata"]["uid"])]
    needed = {
        "preflight": {("postgres-secret", "collector"), ("data-api-secrets", "EODHD_API_TOKEN")},
        "group": {("postgres-secret", "collector"), ("data-api-secrets", "EODHD_API_TOKEN")},
        "indicators": {("postgres-secret", "analyzer")},
    }
    assert {pod["metadata"]["labels"][f"{GROUP}/kind"] for pod in pods} == needed.keys()
    for pod in pods:
        spec, kind = pod["spec"], pod["metadata"]["labels"][f"{GROUP}/kind"]
        assert spec["serviceAccountName"] == "screener-worker"
        assert spec["automountServiceAccountToken"] is False
        assert not any("projected" in volume for volume in spec.get("volumes", ()))
        [container] = spec["containers"]
        assert secrets_of(container) == needed[kind]
        assert_restricted(spec)


def test_the_operators_pod_has_one_secret_and_is_restricted(world: World) -> None:
    [pod] = world.api._list(
        f"/api/v1/namespaces/{NAMESPACE}/pods", "app.kubernetes.io/component=operator"
    )
    [container] = pod["spec"]["containers"]
    assert secrets_of(container) == {("postgres-secret", "operator")}
    assert "EODHD_API_TOKEN" not in {each["name"] for each in container["env"]}
    assert_restricted(pod["spec"])


def secrets_of(container: dict[str, Any]) -> set[tuple[str, str]]:
    """(Secret, key) of its environment; there is no other way in."""
    assert "envFrom" not in container
    references = [
        each["valueFrom"]["secretKeyRef"]
        for each in container.get("env", ())
        if "secretKeyRef" in each.get("valueFrom", {})
    ]
    return {(each["name"], each["key"]) for each in references}


def assert_restricted(spec: dict[str, Any]) -> None:
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize(
    ("fields", "violation"),
    [
        pytest.param({}, "allowPrivilegeEscalation != false", id="one that says nothing of itself"),
        pytest.param({"hostNetwork": True}, "host namespaces", id="one in the host's network"),
        pytest.param(
            {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "restricted volume type",
            id="one that sees the host's files",
        ),
    ],
)  # fmt: skip
def test_the_namespace_refuses_a_pod(world: World, fields: dict[str, Any], violation: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "refused"},
        "spec": {"containers": [{"name": "c", "image": "c:1"}], **fields},
    }
    answer = world.system.kubectl.run("create", "--filename=-", stdin=json.dumps(pod))
    assert answer.returncode != 0
    assert 'violates PodSecurity "restricted' in answer.stderr
    assert violation in answer.stderr


# The scheduler


def start_tick(world: World, cronjob: str, job: str) -> None:
    world.system.kubectl.ask("test", "create", "job", f"--from=cronjob/{cronjob}", job)


def until_job(world: World, job: str, condition: str) -> None:
    world.until(
        f"Job {job} is {condition}",
        lambda: condition
        in world.system.kubectl.ask(
            "test", "get", "job", job,
            "--output=jsonpath={.status.conditions[?(@.status=='True')].type}",
        ).split(),
    )  # fmt: skip


@pytest.fixture
def vendor_without_anything(world: World) -> World:
    """A run over whole exchanges ends at once, for the token is refused."""
    world.admin("account", {"tokens": ["another"]})
    return world


def test_a_tick_creates_one_run_named_by_its_job(vendor_without_anything: World) -> None:
    world = vendor_without_anything
    start_tick(world, "collect-us", "by-hand")
    until_job(world, "by-hand", "Complete")
    run = world.run("by-hand")
    [template] = [
        yaml.safe_load(document["data"]["us.yaml"])
        for document in yaml.safe_load_all((DEPLOY / "cronjobs.yaml").read_text())
        if document["kind"] == "ConfigMap"
    ]
    assert run["spec"]["groups"] == template["spec"]["groups"]
    assert world.finish("by-hand")["status"]["message"].startswith("The vendor refuses the token")
    assert log(world, "by-hand") == "CollectionRun by-hand created"
    world.system.kubectl.ask("test", "delete", "job", "by-hand")

    # The same tick once more, as when its pod is started again.
    start_tick(world, "collect-us", "by-hand")
    until_job(world, "by-hand", "Complete")
    assert log(world, "by-hand") == "CollectionRun by-hand was created already"
    assert world.run("by-hand")["metadata"]["uid"] == run["metadata"]["uid"]
    assert len(world.api.runs("CollectionRun")) == len(
        {each["metadata"]["name"] for each in world.api.runs("CollectionRun")}
    )
    world.system.kubectl.ask("test", "delete", "job", "by-hand")


def test_a_tick_whose_name_another_run_has_says_so(world: World) -> None:
    world.create("taken", [group("g", "LS", UNKNOWN[:1])], dryRun=True)
    world.finish("taken")
    start_tick(world, "collect-us", "taken")
    until_job(world, "taken", "Failed")
    assert log(world, "taken") == (
        "screener-schedule: CollectionRun taken exists with another spec"
    )
    pods = world.api._list(
        f"/api/v1/namespaces/{NAMESPACE}/pods", "batch.kubernetes.io/job-name=taken"
    )
    assert len(pods) == 1, "trying again could not help"
    world.system.kubectl.ask("test", "delete", "job", "taken")


def log(world: World, job: str) -> str:
    return world.system.kubectl.run("logs", f"job/{job}", "--tail=1").stdout.strip()
