"""Adapter: makes a pod's volumes as folders of the node, and keeps service account tokens fresh in
them.

ConfigMaps and Secrets are read when the pod starts; later changes of them are not followed.
"""

import asyncio
import os
import time
from datetime import datetime
from pathlib import Path

from screener_local.node.api import Api, ApiError
from screener_local.node.environment import (
    MissingReference,
    Reference,
    Unsupported,
    object_data,
    pod_field,
    resource_field,
)
from screener_local.node.process import Mount
from screener_local.node.types import JSON

TOKEN_RETRY_S = 0.02
TOKEN_RETRIES = 250
"""The API server's own view of the pod may lag: until then it refuses a token for it."""


class Volumes:
    """The volumes of one pod, below `folder`."""

    def __init__(self, api: Api, pod: JSON, folder: Path) -> None:
        self._api = api
        self._pod = pod
        self._folder = folder
        self._tokens: list[tuple[Path, JSON]] = []
        self._renew_at = float("inf")

    async def make(self) -> None:
        """Raises MissingReference for what is not there yet, Unsupported, ApiError or
        ApiUnreachable."""
        for volume in self._pod["spec"].get("volumes") or []:
            place = self._folder / volume["name"]
            place.mkdir(parents=True, exist_ok=True)
            if "emptyDir" in volume:
                # As the kubelet makes it: whoever the container is, it can write here.
                place.chmod(0o777)
            elif "secret" in volume:
                source = volume["secret"]
                await self._keys(place, Reference("Secret", source["secretName"]), source)
            elif "configMap" in volume:
                source = volume["configMap"]
                await self._keys(place, Reference("ConfigMap", source["name"]), source)
            elif "downwardAPI" in volume:
                self._downward(place, volume["downwardAPI"])
            elif "projected" in volume:
                await self._projected(place, volume["projected"])

    def mounts(self, container: JSON) -> list[Mount]:
        """The container's mounts. Raises Unsupported for one that cannot be made."""
        result = []
        kinds = {v["name"]: v for v in self._pod["spec"].get("volumes") or []}
        for mount in container.get("volumeMounts") or []:
            source = self._folder / mount["name"]
            if path := mount.get("subPath"):
                source = source / path
                if "emptyDir" in kinds.get(mount["name"], {}):
                    source.mkdir(parents=True, exist_ok=True)
                if not source.resolve().is_relative_to(self._folder.resolve()):
                    raise Unsupported(f"subPath {path} leaves its volume")
            if mount.get("subPathExpr"):
                raise Unsupported("subPathExpr")
            # As in a cluster, everything but an emptyDir is read-only.
            changeable = "emptyDir" in kinds.get(mount["name"], {})
            result.append(
                Mount(source, mount["mountPath"], bool(mount.get("readOnly")) or not changeable)
            )
        return result

    async def keep_tokens_fresh(self) -> None:
        """Never returns; renews each token when four fifths of its life are over."""
        while True:
            if self._renew_at == float("inf"):
                await asyncio.Event().wait()
            await asyncio.sleep(max(1.0, self._renew_at - time.time()))
            self._renew_at = float("inf")
            for path, source in list(self._tokens):
                await self._token(path, source)

    async def _projected(self, place: Path, projected: JSON) -> None:
        for source in projected.get("sources") or []:
            if "serviceAccountToken" in source:
                path = place / source["serviceAccountToken"]["path"]
                await self._token(path, source["serviceAccountToken"])
                self._tokens.append((path, source["serviceAccountToken"]))
            elif "configMap" in source:
                inner = source["configMap"]
                await self._keys(place, Reference("ConfigMap", inner["name"]), inner)
            elif "secret" in source:
                inner = source["secret"]
                await self._keys(place, Reference("Secret", inner["name"]), inner)
            elif "downwardAPI" in source:
                self._downward(place, source["downwardAPI"])
            else:
                raise Unsupported(f"projected volume source {', '.join(source)}")

    async def _keys(self, place: Path, reference: Reference, source: JSON) -> None:
        namespace = self._pod["metadata"]["namespace"]
        content = await fetch(self._api, namespace, reference)
        if content is None:
            if source.get("optional"):
                return
            raise MissingReference(reference.missing())
        data = object_data(reference, content)
        default_mode = source.get("defaultMode", 0o644)
        items = source.get("items") or [{"key": key, "path": key} for key in data]
        for item in items:
            if item["key"] not in data:
                if source.get("optional"):
                    continue
                raise MissingReference(
                    f"references non-existent {reference.kind.lower()} key: {item['key']}"
                )
            _write(place / item["path"], data[item["key"]], item.get("mode", default_mode))

    def _downward(self, place: Path, source: JSON) -> None:
        for item in source.get("items") or []:
            if "fieldRef" in item:
                value = pod_field(self._pod, item["fieldRef"]["fieldPath"])
            else:
                reference = item["resourceFieldRef"]
                container = next(
                    c
                    for c in self._pod["spec"]["containers"]
                    if c["name"] == reference["containerName"]
                )
                value = resource_field(container, reference)
            _write(place / item["path"], value.encode(), item.get("mode", 0o644))

    async def _token(self, path: Path, source: JSON) -> None:
        metadata, spec = self._pod["metadata"], self._pod["spec"]
        account = spec.get("serviceAccountName", "default")
        request: JSON = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "expirationSeconds": source.get("expirationSeconds", 3600),
                "audiences": [source["audience"]] if source.get("audience") else [],
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
            },
        }
        where = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        for attempt in range(TOKEN_RETRIES):
            try:
                answer = await self._api.request("POST", where, request)
                break
            except ApiError as error:
                if error.status != 403 or attempt == TOKEN_RETRIES - 1:
                    raise
                await asyncio.sleep(TOKEN_RETRY_S)
        _write(path, answer["status"]["token"].encode(), 0o600)
        expires = datetime.fromisoformat(answer["status"]["expirationTimestamp"]).timestamp()
        self._renew_at = min(self._renew_at, time.time() + 0.8 * (expires - time.time()))


async def fetch(api: Api, namespace: str, reference: Reference) -> JSON | None:
    """The object, or None if it is not there.

    A node may read only what its pods refer to, and the API server's own view of that may lag: a
    refusal is asked again.
    """
    plural = f"{reference.kind.lower()}s"
    for attempt in range(TOKEN_RETRIES):
        try:
            return await api.request(
                "GET", f"/api/v1/namespaces/{namespace}/{plural}/{reference.name}"
            )
        except ApiError as error:
            if error.status == 404:
                return None
            if error.status != 403 or attempt == TOKEN_RETRIES - 1:
                raise
            await asyncio.sleep(TOKEN_RETRY_S)
    return None


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))
    temporary.write_bytes(content)
    temporary.chmod(mode)
    temporary.replace(path)
