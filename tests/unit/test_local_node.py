"""The process node's pure parts: environments, statuses, back-off, log lines."""

from datetime import UTC, datetime
from typing import Any

import pytest

from screener_local.node.containerlog import Wanted, render
from screener_local.node.environment import (
    MissingReference,
    Reference,
    Unsupported,
    command_line,
    container_environment,
    expand,
    pod_field,
    quantity,
    references,
    resource_field,
    unsupported_features,
)
from screener_local.node.podstatus import (
    ContainerState,
    Verdict,
    backoff_s,
    from_json,
    lost,
    phase,
    pod_status,
    restarts,
    terminated,
)

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
POD: dict[str, Any] = {
    "metadata": {
        "name": "p",
        "namespace": "n",
        "uid": "u",
        "labels": {"a/b": "c", "z": "y"},
        "generation": 3,
    },
    "spec": {"restartPolicy": "Never", "containers": [], "serviceAccountName": "s"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("$(A)b", "1b", id="a known name is replaced"),
        pytest.param("$$(A)", "$(A)", id="two dollars stand for one"),
        pytest.param("$(NO)", "$(NO)", id="an unknown name stays"),
        pytest.param("$A ${A} $", "$A ${A} $", id="the shell's own ways are left to the shell"),
        pytest.param("$(A)$(A)", "11", id="more than once"),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [("250m", 0.25), ("2", 2), ("1Ki", 1024), ("1.5G", 1.5e9), ("2e3", 2000), ("64Mi", 67108864)],
)
def test_quantities(text: str, value: float) -> None:
    assert quantity(text) == value


def test_a_bad_quantity_is_named() -> None:
    with pytest.raises(Unsupported, match="12 apples"):
        quantity("12 apples")


@pytest.mark.parametrize(
    ("resource", "divisor", "expected"),
    [("limits.cpu", "1", "2"), ("limits.cpu", "1m", "1500"), ("requests.cpu", "1", "0")],
    ids=["rounded up", "in the divisor's unit", "nothing asked for is 0"],
)
def test_resources_of_a_container(resource: str, divisor: str, expected: str) -> None:
    container = {"resources": {"limits": {"cpu": "1500m"}}}
    assert resource_field(container, {"resource": resource, "divisor": divisor}) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "p"),
        ("metadata.labels['a/b']", "c"),
        ("metadata.labels['none']", ""),
        ("metadata.labels", 'a/b="c"\nz="y"'),
        ("status.podIP", "127.0.0.1"),
        ("spec.serviceAccountName", "s"),
    ],
)
def test_downward_fields(path: str, expected: str) -> None:
    assert pod_field(POD, path) == expected


def test_an_unknown_downward_field_is_named() -> None:
    with pytest.raises(Unsupported, match=r"spec\.hostname"):
        pod_field(POD, "spec.hostname")


def _from_secret(key: str, **more: object) -> dict[str, Any]:
    source = {"secretKeyRef": {"name": "s", "key": key, **more}}
    return {"env": [{"name": "V", "valueFrom": source}]}


@pytest.mark.parametrize(
    ("container", "present", "message"),
    [
        (_from_secret("k"), False, 'secret "s" not found'),
        (_from_secret("other"), True, "couldn't find key other in Secret n/s"),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, False, 'secret "s" not found'),
    ],
    ids=["no such Secret", "no such key", "no such Secret for all its keys"],
)
def test_what_is_missing_is_named(container: dict[str, Any], present: bool, message: str) -> None:
    secret = Reference("Secret", "s")
    assert references(container) == {secret}
    with pytest.raises(MissingReference) as caught:
        container_environment(
            container, POD, {secret: {"data": {"k": "dg=="}} if present else None}, {}
        )
    assert str(caught.value) == message


def test_optional_references_may_be_missing() -> None:
    container = _from_secret("k", optional=True)
    container["envFrom"] = [{"configMapRef": {"name": "c", "optional": True}}]
    objects = {Reference("Secret", "s"): None, Reference("ConfigMap", "c"): None}
    assert container_environment(container, POD, objects, {"A": "b"}) == {"A": "b"}


def test_a_container_without_a_command_is_refused() -> None:
    with pytest.raises(Unsupported, match="must give its command"):
        command_line({"args": ["x"]}, {})


def test_a_command_is_expanded() -> None:
    assert command_line({"command": ["run"], "args": ["$(A)"]}, {"A": "x"}) == ["run", "x"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"volumes": [{"name": "v", "emptyDir": {}}]}, []),
        ({"volumes": [{"name": "v", "hostPath": {}}]}, ["a volume of kind hostPath"]),
        (
            {"initContainers": [{"restartPolicy": "Always"}]},
            ["init containers with a restartPolicy (sidecars)"],
        ),
        ({"containers": [{"lifecycle": {"preStop": {}}}]}, ["lifecycle hooks"]),
        ({"containers": [{"livenessProbe": {"grpc": {"port": 1}}}]}, ["gRPC probes"]),
    ],
)
def test_what_is_not_supported(spec: dict[str, Any], expected: list[str]) -> None:
    assert unsupported_features({"spec": {"containers": []} | spec}) == expected


def _state(what: str, code: int = 0) -> ContainerState:
    ended = {"terminated": {"exitCode": code}}
    return {
        "waiting": ContainerState("c", "", {"waiting": {"reason": "ContainerCreating"}}),
        "running": ContainerState("c", "", {"running": {"startedAt": "2026-11-24T09:00:00Z"}}),
        "ended": ContainerState("c", "", ended),
        "backing off": ContainerState("c", "", {"waiting": {"reason": "CrashLoopBackOff"}}, ended),
    }[what]


@pytest.mark.parametrize(
    ("policy", "initial", "main", "expected"),
    [
        ("Always", [], ["waiting"], "Pending"),
        ("Always", [], ["running", "waiting"], "Pending"),
        ("Always", [], ["running"], "Running"),
        ("Always", [], ["backing off"], "Running"),
        ("Always", [], ["ended"], "Running"),
        ("OnFailure", [], ["failed"], "Running"),
        ("OnFailure", [], ["ended", "ended"], "Succeeded"),
        ("Never", [], ["ended", "running"], "Running"),
        ("Never", [], ["ended", "failed"], "Failed"),
        ("Never", [], ["ended"], "Succeeded"),
        ("Never", ["running"], ["waiting"], "Pending"),
        ("Never", ["failed"], ["waiting"], "Failed"),
        ("OnFailure", ["failed"], ["waiting"], "Pending"),
        ("Never", ["ended"], ["running"], "Running"),
    ],
)
def test_a_pods_phase(policy: str, initial: list[str], main: list[str], expected: str) -> None:
    def states(names: list[str]) -> list[ContainerState]:
        return [_state("ended", 1) if name == "failed" else _state(name) for name in names]

    assert phase(policy, states(initial), states(main)) == expected


@pytest.mark.parametrize(
    ("policy", "code", "initial", "expected"),
    [
        ("Always", 0, False, True),
        ("OnFailure", 0, False, False),
        ("OnFailure", 1, False, True),
        ("Never", 1, False, False),
        ("Always", 0, True, False),
        ("Always", 1, True, True),
        ("Never", 1, True, False),
    ],
)
def test_who_is_started_again(policy: str, code: int, initial: bool, expected: bool) -> None:
    assert restarts(policy, code, initial=initial) is expected


def test_the_back_off_doubles_up_to_its_limit() -> None:
    pauses = [backoff_s(failures, first_s=1, longest_s=10) for failures in range(8)]
    assert pauses == [0, 0, 1, 2, 4, 8, 10, 10]


def test_a_message_is_cut_to_what_the_api_allows() -> None:
    state = terminated(
        exit_code=1,
        signal=None,
        reason="Error",
        message="ä" * 5000,
        started=None,
        finished=NOW,
        container_id="c",
    )
    assert len(state["terminated"]["message"].encode()) == 4096


def test_conditions_keep_the_time_of_their_last_change() -> None:
    old = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-24T08:00:00Z"}
    known = POD | {"status": {"conditions": [old | {"type": t} for t in ("Ready", "Initialized")]}}
    status = pod_status(known, [], [_state("running")], start_time="then", now=NOW)
    times = {c["type"]: (c["status"], c["lastTransitionTime"]) for c in status["conditions"]}
    assert times["Ready"] == ("False", "2026-11-24T08:00:00Z")
    assert times["Initialized"] == ("True", "2026-11-24T10:00:00Z")
    assert status["observedGeneration"] == 3


def test_a_verdict_overrules_the_containers() -> None:
    verdict = Verdict("Failed", "DeadlineExceeded", "too long")
    status = pod_status(POD, [], [_state("ended")], start_time="then", now=NOW, verdict=verdict)
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")


def test_a_container_that_ran_when_the_node_died_is_lost() -> None:
    running = _state("running")
    ended = lost(from_json(running.to_json()), NOW).state["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "ContainerStatusUnknown")
    assert ended["startedAt"] == "2026-11-24T09:00:00Z"
    assert lost(_state("ended"), NOW) == _state("ended")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, b"text\n"),
        ({"timestamps": "true"}, b"2026-11-24T09:59:30.000000Z text\n"),
        ({"sinceSeconds": "60"}, b"text\n"),
        ({"sinceSeconds": "10"}, b""),
        ({"sinceTime": "2026-11-24T09:59:31Z"}, b""),
    ],
)
def test_log_lines_as_a_reader_wants_them(query: dict[str, str], expected: bytes) -> None:
    line = b"2026-11-24T09:59:30.000000Z F text"
    assert render(line, Wanted.from_query(query, NOW)) == expected


def test_a_part_of_a_long_line_is_joined_to_the_next() -> None:
    assert render(b"2026-11-24T09:59:30.000000Z P text", Wanted()) == b"text"
