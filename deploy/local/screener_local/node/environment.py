"""Pure: what a container's environment, command and downward values are, from the pod and the
objects that it refers to.

No clock, no I/O. Nothing of the node's own environment ever gets in.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from screener_local.node.types import JSON


class MissingReference(Exception):
    """The container refers to an object or a key that does not exist (yet); the message is the
    pod's."""


class Unsupported(Exception):
    """The pod asks for something that the process node does not have; the message names it."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A ConfigMap or Secret in the pod's namespace."""

    kind: str
    name: str

    def missing(self) -> str:
        return f'{self.kind.lower()} "{self.name}" not found'


Objects = Mapping[Reference, JSON | None]
"""What was found; None for what is not there."""


def references(container: JSON) -> set[Reference]:
    """The ConfigMaps and Secrets that a container's environment needs."""
    found = set()
    for entry in container.get("env") or []:
        source = entry.get("valueFrom") or {}
        for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            if field in source:
                found.add(Reference(kind, source[field].get("name", "")))
    for entry in container.get("envFrom") or []:
        for field, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
            if field in entry:
                found.add(Reference(kind, entry[field].get("name", "")))
    return found


def object_data(reference: Reference, content: JSON) -> dict[str, bytes]:
    """The keys of a Secret or ConfigMap with their bytes."""
    if reference.kind == "Secret":
        return {k: base64.b64decode(v) for k, v in (content.get("data") or {}).items()}
    text = {k: v.encode() for k, v in (content.get("data") or {}).items()}
    binary = {k: base64.b64decode(v) for k, v in (content.get("binaryData") or {}).items()}
    return text | binary


def container_environment(
    container: JSON, pod: JSON, objects: Objects, base: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment: `base`, then envFrom, then env, with `$(NAME)` expanded.

    Raises MissingReference or Unsupported.
    """
    environment = dict(base)
    for entry in container.get("envFrom") or []:
        for field, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
            if field not in entry:
                continue
            reference = Reference(kind, entry[field].get("name", ""))
            content = objects.get(reference)
            if content is None:
                if entry[field].get("optional"):
                    continue
                raise MissingReference(reference.missing())
            for key, value in object_data(reference, content).items():
                environment[entry.get("prefix", "") + key] = value.decode()
    for entry in container.get("env") or []:
        found = _value(entry, container, pod, objects, environment)
        if found is not None:
            environment[entry["name"]] = found
    return environment


def expand(text: str, environment: Mapping[str, str]) -> str:
    """`$(NAME)` becomes its value, `$$(NAME)` becomes `$(NAME)`, an unknown name stays as it is."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return environment.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replace, text)


def command_line(container: JSON, environment: Mapping[str, str]) -> list[str]:
    """The command and its arguments. Raises Unsupported without a command: there is no image that
    has one."""
    if not container.get("command"):
        raise Unsupported("the process node has no images, so a container must give its command")
    words = [*container["command"], *(container.get("args") or [])]
    return [expand(word, environment) for word in words]


def pod_field(pod: JSON, path: str) -> str:
    """A downward value of the pod. Raises Unsupported for a field that there is none of."""
    metadata, spec = pod["metadata"], pod["spec"]
    if keyed := re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path):
        return str((metadata.get(keyed[1]) or {}).get(keyed[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        values = metadata.get(path.removeprefix("metadata.")) or {}
        return "\n".join(f'{key}="{value}"' for key, value in sorted(values.items()))
    plain = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": "127.0.0.1",
        "status.podIP": "127.0.0.1",
        "status.podIPs": "127.0.0.1",
        "status.hostIPs": "127.0.0.1",
    }
    if path not in plain:
        raise Unsupported(f"fieldRef {path} is not one that the process node knows")
    return str(plain[path])


def resource_field(container: JSON, reference: JSON) -> str:
    """A limit or request of the container in units of the divisor, rounded up; 0 if there is
    none."""
    group, _, resource = reference["resource"].partition(".")
    resources = container.get("resources") or {}
    value = (resources.get(group) or {}).get(resource)
    if value is None:
        return "0"
    quotient = quantity(str(value)) / quantity(str(reference.get("divisor") or "1"))
    return str(-(-quotient.numerator // quotient.denominator))


def quantity(text: str) -> Fraction:
    """A Kubernetes quantity: `250m` is 1/4, `1Gi` is 1073741824."""
    found = re.fullmatch(r"([0-9.]+(?:[eE][+-]?\d+)?)([A-Za-z]*)", text)
    suffixes = {
        "": Fraction(1), "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000),
        **{unit: Fraction(1000**(i + 1)) for i, unit in enumerate(("k", "M", "G", "T", "P", "E"))},
        **{f"{unit}i": Fraction(1024**(i + 1)) for i, unit in enumerate("KMGTPE")},
    }  # fmt: skip
    if found is None or found[2] not in suffixes:
        raise Unsupported(f"{text!r} is not a quantity")
    return Fraction(found[1]) * suffixes[found[2]]


def unsupported_features(pod: JSON) -> list[str]:
    """What the pod wants and the process node cannot give; empty if it can be run."""
    spec = pod["spec"]
    problems = []
    if any(c.get("restartPolicy") for c in spec.get("initContainers") or []):
        problems.append("init containers with a restartPolicy (sidecars)")
    if spec.get("ephemeralContainers"):
        problems.append("ephemeral containers")
    known = {"emptyDir", "secret", "configMap", "projected", "downwardAPI"}
    for volume in spec.get("volumes") or []:
        problems += [f"a volume of kind {kind}" for kind in volume.keys() - known - {"name"}]
    for container in containers(spec):
        if container.get("lifecycle"):
            problems.append("lifecycle hooks")
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            if "grpc" in (container.get(probe) or {}):
                problems.append("gRPC probes")
    return sorted(set(problems))


def containers(spec: JSON) -> Iterable[JSON]:
    """All containers of a pod, those of its initialisation first."""
    return [*(spec.get("initContainers") or []), *spec["containers"]]


def _value(
    entry: JSON,
    container: JSON,
    pod: JSON,
    objects: Objects,
    environment: Mapping[str, str],
) -> str | None:
    source = entry.get("valueFrom")
    if not source:
        return expand(entry.get("value", ""), environment)
    if "fieldRef" in source:
        return pod_field(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return resource_field(container, source["resourceFieldRef"])
    for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
        if field not in source:
            continue
        selector = source[field]
        reference = Reference(kind, selector.get("name", ""))
        content = objects.get(reference)
        data = object_data(reference, content) if content is not None else {}
        if selector["key"] in data:
            return data[selector["key"]].decode()
        if selector.get("optional"):
            return None
        if content is None:
            raise MissingReference(reference.missing())
        namespace = pod["metadata"]["namespace"]
        raise MissingReference(
            f"couldn't find key {selector['key']} in {kind} {namespace}/{reference.name}"
        )
    raise Unsupported(f"env {entry['name']}: {', '.join(source)} is not supported")
