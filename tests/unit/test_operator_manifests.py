"""What the operator creates: names, and whole manifests."""

import re
from dataclasses import replace

import pytest
from operator_world import JOBS, UID, collection_run, indicator_run

from screener_operator.jobs import (
    child_name,
    fallback_name,
    group_job,
    indicators_job,
    label_value,
    preflight_job,
)
from screener_operator.jobs import (
    indicator_run as indicator_run_manifest,
)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        pytest.param(("daily", "us", "1"), "daily-us-1", id="a short name is the parts"),
        pytest.param(("d" * 58, "us", "1"), "d" * 58 + "-us-1", id="63 characters are kept"),
    ],
)
def test_short_names_are_plain(parts: tuple[str, ...], name: str) -> None:
    assert child_name(*parts) == name


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(("d" * 59, "us", "1"), id="64 characters"),
        pytest.param(("d" * 253, "us", "1"), id="the longest name of an object"),
        pytest.param(("daily.v2", "us", "1"), id="a dot, which no label of a pod's address has"),
        pytest.param(("d" * 52 + "-" * 5 + "d" * 9, "us", "1"), id="a hyphen where it is cut"),
    ],
)
def test_other_names_are_hashed_labels(parts: tuple[str, ...]) -> None:
    name = child_name(*parts)
    assert len(name) <= 63
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?-[0-9a-f]{10}", name)
    assert name == child_name(*parts)


def test_names_that_would_be_cut_to_the_same_stay_apart() -> None:
    names = {
        child_name("d" * 60 + end, group, "1") for end in ("a", "b") for group in ("us", "lse")
    }
    assert len(names) == 4
    assert child_name("a.b", "us", "1") != child_name("a-b", "us", "1")


def test_the_fallback_beside_a_foreign_object_depends_on_the_run() -> None:
    ours, others = fallback_name("daily-us-1", UID), fallback_name("daily-us-1", "another")
    assert ours != others
    assert re.fullmatch(r"daily-us-1-[0-9a-f]{10}", ours)
    assert len(fallback_name("d" * 63, UID)) == 63


def test_a_long_name_as_label_is_short_enough() -> None:
    assert label_value("daily") == "daily"
    assert len(label_value("d" * 253)) == 63


LABELS = {
    "app.kubernetes.io/name": "financial-screener",
    "app.kubernetes.io/instance": "daily",
    "app.kubernetes.io/component": "collector",
    "app.kubernetes.io/part-of": "financial-screener",
    "app.kubernetes.io/managed-by": "screener-operator",
    "financial-screener.io/run": "daily",
    "financial-screener.io/run-uid": UID,
    "financial-screener.io/kind": "group",
    "financial-screener.io/group": "us",
}
GROUP_JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {
        "name": "daily-us-1",
        "namespace": "financial-screener",
        "labels": LABELS,
        "ownerReferences": [
            {
                "apiVersion": "financial-screener.io/v1alpha1",
                "kind": "CollectionRun",
                "name": "daily",
                "uid": UID,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    },
    "spec": {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 6,
        "activeDeadlineSeconds": 21600,
        "ttlSecondsAfterFinished": 86400,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": "collector",
                        "operator": "In",
                        "values": [2, 10, 11, 12, 13],
                    },
                },
                {
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
            ]
        },
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {
                "restartPolicy": "Never",
                "serviceAccountName": "screener-worker",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": 30,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65532,
                    "runAsGroup": 65532,
                    "fsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "collector",
                        "image": "registry.example/collector:1",
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["screener-collect", "group"],
                        "env": [
                            {
                                "name": "DATABASE_URL",
                                "valueFrom": {
                                    "secretKeyRef": {"name": "postgres-secret", "key": "collector"}
                                },
                            },
                            {"name": "EXECUTION_ID", "value": UID},
                            {
                                "name": "POD_NAME",
                                "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
                            },
                            {"name": "LOG_FORMAT", "value": "json"},
                            {
                                "name": "EODHD_API_TOKEN",
                                "valueFrom": {
                                    "secretKeyRef": {
                                        "name": "data-api-secrets",
                                        "key": "EODHD_API_TOKEN",
                                    }
                                },
                            },
                            {"name": "EODHD_BASE_URL", "value": "https://vendor.example/api"},
                            {"name": "EODHD_DAILY_LIMIT", "value": "100000"},
                            {"name": "SLICE", "value": "us"},
                        ],
                        "resources": {
                            "requests": {"cpu": "100m", "memory": "160Mi"},
                            "limits": {"memory": "512Mi"},
                        },
                        "terminationMessagePolicy": "FallbackToLogsOnError",
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    }
                ],
                "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}],
            },
        },
    },
}


def test_the_job_of_a_group() -> None:
    assert group_job(collection_run(), "us", JOBS) == GROUP_JOB


def test_the_preflight_differs_by_name_command_and_labels() -> None:
    job = preflight_job(collection_run(), JOBS)
    assert job["metadata"]["name"] == "daily-preflight"
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["screener-collect", "preflight"]
    assert "SLICE" not in {each["name"] for each in container["env"]}
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels == job["metadata"]["labels"]
    assert labels["financial-screener.io/kind"] == "preflight"


def test_the_analyzer_gets_no_token_and_its_own_login() -> None:
    job = indicators_job(indicator_run(), JOBS)
    assert job["metadata"]["name"] == "daily-indicators-1"
    assert job["metadata"]["ownerReferences"][0]["kind"] == "IndicatorRun"
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["screener-analyze"]
    assert container["image"] == "registry.example/analyzer:1"
    assert {each["name"] for each in container["env"]} == {
        "DATABASE_URL",
        "EXECUTION_ID",
        "POD_NAME",
        "LOG_FORMAT",
    }
    assert container["env"][0]["valueFrom"]["secretKeyRef"]["key"] == "analyzer"
    [rule, _] = job["spec"]["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] == container["name"]


@pytest.mark.parametrize(
    ("workers", "mode"), [(1, None), (4, "Indexed")], ids=["one pod", "four pods"]
)
def test_the_analyzers_pods_are_as_many_as_the_spec_says(workers: int, mode: str | None) -> None:
    spec = indicators_job(indicator_run({"workers": workers}), JOBS)["spec"]
    assert (spec["completions"], spec["parallelism"]) == (workers, workers)
    assert spec.get("completionMode") == mode


def test_secrets_are_named_as_the_deployment_says() -> None:
    settings = replace(JOBS, postgres_secret="pg", api_secret="vendor")
    [container] = group_job(collection_run(), "us", settings)["spec"]["template"]["spec"][
        "containers"
    ]
    named = {
        each["name"]: each["valueFrom"]["secretKeyRef"]["name"]
        for each in container["env"]
        if "secretKeyRef" in each.get("valueFrom", {})
    }
    assert named == {"DATABASE_URL": "pg", "EODHD_API_TOKEN": "vendor"}


def test_the_indicator_run_that_follows() -> None:
    assert indicator_run_manifest(collection_run()) == {
        "apiVersion": "financial-screener.io/v1alpha1",
        "kind": "IndicatorRun",
        "metadata": {
            "name": "daily",
            "namespace": "financial-screener",
            "labels": {
                "app.kubernetes.io/name": "financial-screener",
                "app.kubernetes.io/managed-by": "screener-operator",
                "financial-screener.io/run": "daily",
                "financial-screener.io/run-uid": UID,
            },
            "ownerReferences": [
                {
                    "apiVersion": "financial-screener.io/v1alpha1",
                    "kind": "CollectionRun",
                    "name": "daily",
                    "uid": UID,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {"collectionRun": "daily", "exchanges": ["MC", "PA", "US"]},
    }


def test_only_a_preflight_waits_for_the_vendor_without_an_end() -> None:
    run = collection_run()
    assert "activeDeadlineSeconds" not in preflight_job(run, JOBS)["spec"]
    assert group_job(run, "us", JOBS)["spec"]["activeDeadlineSeconds"] == 21600
    assert indicators_job(indicator_run(), JOBS)["spec"]["activeDeadlineSeconds"] == 21600
