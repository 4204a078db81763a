"""Pure: the product's manifests as the local system wants them. No I/O."""

import base64
import copy
from collections.abc import Mapping
from typing import Any

OPERATOR = "screener-operator"
CODE_ANNOTATION = "financial-screener.io/code"


def for_local_system(
    documents: list[dict[str, Any]], *, environment: Mapping[str, str], health_port: int, code: str
) -> list[dict[str, Any]]:
    """The documents with the operator's Deployment made to fit this machine.

    Its environment gets these values, its health port and probes this port (there is one network
    for all pods of the machine), and its pod an annotation that changes with the code, so that
    another code rolls it.
    """
    result = copy.deepcopy(documents)
    for document in result:
        if document["kind"] == "Deployment" and document["metadata"]["name"] == OPERATOR:
            _fit_operator(document["spec"]["template"], environment, health_port, code)
    return result


def secret(name: str, namespace: str, values: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


def _fit_operator(
    template: dict[str, Any], environment: Mapping[str, str], health_port: int, code: str
) -> None:
    template.setdefault("metadata", {}).setdefault("annotations", {})[CODE_ANNOTATION] = code
    container = template["spec"]["containers"][0]
    values = dict(environment) | {"HEALTH_PORT": str(health_port)}
    entries = [entry for entry in container.get("env", []) if entry["name"] not in values]
    container["env"] = entries + [{"name": n, "value": v} for n, v in values.items()]
    for port in container.get("ports", []):
        if port.get("name") == "health":
            port["containerPort"] = health_port
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if get := container.get(probe, {}).get("httpGet"):
            get["port"] = health_port
