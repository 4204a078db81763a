"""Core: the objects that a run owns, as manifests: its Jobs and its IndicatorRun. Values in, dicts
out; no client, no clock.

Names are made from the run's, so that creating twice creates once; whoever creates must still look
whose object it is.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from screener_operator.resources import (
    API_VERSION,
    GROUP,
    INDICATOR_RUN,
    CollectionRun,
    IndicatorRun,
    Meta,
)
from screener_sql.model import NEVER_RETRIED, SliceKind

NAME_LIMIT = 63
"""Pods take their Job's name, and labels hold it."""
HASH_LENGTH = 10
ACTIVE_DEADLINE_S = 6 * 3600
"""A group at the vendor's rate limit may take hours; what is left then is due in the next run. A
preflight has no deadline: it waits for a vendor that is away, and nothing of its run is lost.
"""
TTL_AFTER_FINISHED_S = 24 * 3600
BACKOFF_LIMIT = 6
GRACE_PERIOD_S = 30
"""For a worker to give back what it leased and claimed."""

LABEL_RUN_UID = f"{GROUP}/run-uid"
LABEL_RUN = f"{GROUP}/run"
LABEL_KIND = f"{GROUP}/kind"
LABEL_GROUP = f"{GROUP}/group"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "screener-operator"

INDICATORS_SLICE = "indicators"
"""The name of the one slice, group and Job of an IndicatorRun."""


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What Jobs are told; the same for all of them."""

    collector_image: str
    analyzer_image: str
    eodhd_base_url: str
    eodhd_daily_limit: int
    """Calls of a GMT day."""
    postgres_secret: str = "postgres-secret"
    """Holds a connection string a program under the keys collector and analyzer."""
    api_secret: str = "data-api-secrets"
    """Holds the vendor's token under the key EODHD_API_TOKEN."""
    log_format: str = "json"


@dataclass(frozen=True, slots=True)
class Resources:
    """Requests and limits of a pod, fit for a node with 4 GB."""

    cpu: str
    memory: str
    memory_limit: str


COLLECTOR_RESOURCES = Resources(cpu="100m", memory="160Mi", memory_limit="512Mi")
ANALYZER_RESOURCES = Resources(cpu="250m", memory="384Mi", memory_limit="1536Mi")


def child_name(*parts: str) -> str:
    """The parts joined by hyphens where that is a DNS label of at most 63 characters; else cut,
    with a hash of the whole.
    """
    whole = "-".join(parts)
    if len(whole) <= NAME_LIMIT and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", whole):
        return whole
    return _hashed(whole, whole)


def fallback_name(name: str, uid: str) -> str:
    """The name of an object of the run `uid` whose plain name somebody else's object holds."""
    return _hashed(name, f"{name}/{uid}")


def _hashed(shown: str, hashed: str) -> str:
    digest = hashlib.sha256(hashed.encode()).hexdigest()[:HASH_LENGTH]
    head = re.sub(r"[^a-z0-9-]", "-", shown)[: NAME_LIMIT - HASH_LENGTH - 1].rstrip("-")
    return f"{head}-{digest}"


def label_value(name: str) -> str:
    """An object's name as a label: the same where it is short enough, else with a hash."""
    return name if len(name) <= NAME_LIMIT else _hashed(name, name)


def owner_reference(meta: Meta) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": meta.kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def preflight_job(run: CollectionRun, settings: JobSettings) -> dict[str, Any]:
    """The run's first Job."""
    return _job(
        run.meta,
        name=child_name(run.meta.name, "preflight"),
        kind=SliceKind.PREFLIGHT,
        group="preflight",
        component="collector",
        image=settings.collector_image,
        command=["screener-collect", "preflight"],
        env=_collector_env(run.meta, settings),
        resources=COLLECTOR_RESOURCES,
        deadline_s=None,
    )


def group_job(run: CollectionRun, group: str, settings: JobSettings) -> dict[str, Any]:
    """The Job that works on the fetches of one group."""
    return _job(
        run.meta,
        name=child_name(run.meta.name, group, "1"),
        kind=SliceKind.GROUP,
        group=group,
        component="collector",
        image=settings.collector_image,
        command=["screener-collect", "group"],
        env=[*_collector_env(run.meta, settings), {"name": "SLICE", "value": group}],
        resources=COLLECTOR_RESOURCES,
    )


def indicators_job(run: IndicatorRun, settings: JobSettings) -> dict[str, Any]:
    """The one Job of an IndicatorRun; its pods claim what they work on, whatever their index."""
    return _job(
        run.meta,
        name=child_name(run.meta.name, "indicators", "1"),
        kind=SliceKind.INDICATORS,
        group=INDICATORS_SLICE,
        component="analyzer",
        image=settings.analyzer_image,
        command=["screener-analyze"],
        env=_common_env(run.meta, settings, database_key="analyzer"),
        resources=ANALYZER_RESOURCES,
        pods=run.workers,
    )


def indicator_run(run: CollectionRun) -> dict[str, Any]:
    """The IndicatorRun that follows a CollectionRun: all assets of its exchanges that have new
    bars.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": INDICATOR_RUN,
        "metadata": {
            "name": run.meta.name,
            "namespace": run.meta.namespace,
            "labels": {
                "app.kubernetes.io/name": "financial-screener",
                LABEL_MANAGED_BY: MANAGER,
                LABEL_RUN: label_value(run.meta.name),
                LABEL_RUN_UID: run.meta.uid,
            },
            "ownerReferences": [owner_reference(run.meta)],
        },
        "spec": {
            "collectionRun": run.meta.name,
            "exchanges": sorted(run.exchanges() or ()),
        },
    }


def _common_env(meta: Meta, settings: JobSettings, *, database_key: str) -> list[dict[str, Any]]:
    return [
        {
            "name": "DATABASE_URL",
            "valueFrom": {"secretKeyRef": {"name": settings.postgres_secret, "key": database_key}},
        },
        {"name": "EXECUTION_ID", "value": meta.uid},
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "LOG_FORMAT", "value": settings.log_format},
    ]


def _collector_env(meta: Meta, settings: JobSettings) -> list[dict[str, Any]]:
    return [
        *_common_env(meta, settings, database_key="collector"),
        {
            "name": "EODHD_API_TOKEN",
            "valueFrom": {"secretKeyRef": {"name": settings.api_secret, "key": "EODHD_API_TOKEN"}},
        },
        {"name": "EODHD_BASE_URL", "value": settings.eodhd_base_url},
        {"name": "EODHD_DAILY_LIMIT", "value": str(settings.eodhd_daily_limit)},
    ]


def _job(
    meta: Meta,
    *,
    name: str,
    kind: str,
    group: str,
    component: str,
    image: str,
    command: list[str],
    env: list[dict[str, Any]],
    resources: Resources,
    deadline_s: int | None = ACTIVE_DEADLINE_S,
    pods: int = 1,
) -> dict[str, Any]:
    labels: Mapping[str, str] = {
        "app.kubernetes.io/name": "financial-screener",
        "app.kubernetes.io/instance": label_value(meta.name),
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "financial-screener",
        LABEL_MANAGED_BY: MANAGER,
        LABEL_RUN: label_value(meta.name),
        LABEL_RUN_UID: meta.uid,
        LABEL_KIND: str(kind),
        LABEL_GROUP: group,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "labels": dict(labels),
            "ownerReferences": [owner_reference(meta)],
        },
        "spec": {
            "completions": pods,
            "parallelism": pods,
            **({} if pods == 1 else {"completionMode": "Indexed"}),
            "backoffLimit": BACKOFF_LIMIT,
            **({} if deadline_s is None else {"activeDeadlineSeconds": deadline_s}),
            "ttlSecondsAfterFinished": TTL_AFTER_FINISHED_S,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": component,
                            "operator": "In",
                            "values": sorted(int(code) for code in NEVER_RETRIED),
                        },
                    },
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                ]
            },
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {
                    "restartPolicy": "Never",
                    "serviceAccountName": "screener-worker",
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": GRACE_PERIOD_S,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65532,
                        "runAsGroup": 65532,
                        "fsGroup": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": component,
                            "image": image,
                            "imagePullPolicy": "IfNotPresent",
                            "command": command,
                            "env": env,
                            "resources": {
                                "requests": {"cpu": resources.cpu, "memory": resources.memory},
                                "limits": {"memory": resources.memory_limit},
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
