"""Adapter: the Kubernetes API server. The only module that talks to it, apart from kopf's watches.

Speaks in plain dicts, so that what is sent is what `jobs` built. Every request has time-outs and
is sent once: whoever asks decides about trying again, for a reconcile looks anew at everything.
Never reads from a cache.

* ClusterError
  x ClusterUnreachable (retryable): no answer, or a server error
  x Conflict (retryable): somebody wrote in between
  x NotFound
  x AlreadyExists
  x Refused (permanent): the API server's own words
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config

from screener_operator.facts import JobFacts, JobState
from screener_operator.jobs import (
    LABEL_GROUP,
    LABEL_KIND,
    LABEL_MANAGED_BY,
    LABEL_RUN_UID,
    MANAGER,
    fallback_name,
)
from screener_operator.resources import GROUP, PLURALS, VERSION, parse_time
from screener_sql.errors import BadSetting, Permanent, Retryable

TIMEOUT_S = (3, 10)
"""For the connection and for the answer."""
LIST_LIMIT = 500
POD_WAITS_FOR_GOOD = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
"""Reasons for which a container does not start until somebody does something."""

POD_MAY_TAKE = timedelta(seconds=15)
"""For a pod to be placed and to find what it needs, before anybody is told that it does not."""


class ClusterUnreachable(Retryable):
    """The API server does not answer."""


class Conflict(Retryable):
    """Somebody else has written the object in between."""


class NotFound(Permanent):
    """There is no such object."""


class AlreadyExists(Permanent):
    """An object of that name exists."""


class Refused(Permanent):
    """The API server refused the request."""


def load_configuration() -> Configuration:
    """The pod's ServiceAccount, else the kubeconfig. Raises BadSetting if there is neither."""
    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except ConfigException:
        try:
            load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise BadSetting(
                "neither a ServiceAccount's token nor a kubeconfig was found; set KUBECONFIG"
            ) from error
    # Time-outs would otherwise be multiplied by urllib3's own attempts.
    configuration.retries = urllib3.Retry(0)
    return configuration


def bearer_token(configuration: Configuration) -> str | None:
    """The token as it is now: a ServiceAccount's is re-read from its file, which the kubelet
    renews.
    """
    header = configuration.get_api_key_with_prefix("BearerToken") or (
        configuration.get_api_key_with_prefix("authorization")
    )
    return header.split(" ", 1)[-1].strip() if header else None


class Cluster:
    """The objects of one namespace."""

    def __init__(self, namespace: str, configuration: Configuration) -> None:
        self._namespace = namespace
        self._client = ApiClient(configuration)

    # Runs

    def runs(self, kind: str) -> list[dict[str, Any]]:
        return self._list(_runs_path(self._namespace, kind))

    def run(self, kind: str, name: str) -> dict[str, Any]:
        """Raises NotFound."""
        return self._request("GET", _runs_path(self._namespace, kind, name))

    def put_status(self, body: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, Any]:
        """Writes the status of an object as it was read, and returns the object.

        Raises Conflict if it was written since, NotFound if it was deleted.
        """
        metadata = body["metadata"]
        path = f"{_runs_path(self._namespace, body['kind'], metadata['name'])}/status"
        return self._request(
            "PUT",
            path,
            {"fieldValidation": "Strict"},
            {**body, "status": status},
        )

    def create_run(self, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Creates a run; unknown fields are refused. Raises AlreadyExists, or Refused with the API
        server's words.

        `dry_run`: only what would be stored, defaults applied, is returned.
        """
        query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return self._request("POST", _runs_path(self._namespace, body["kind"]), query, body)

    # Jobs

    def jobs(self, *, run_uid: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
        """The Jobs that the operator made: of one run or of all, of one kind or of all."""
        selector = f"{LABEL_MANAGED_BY}={MANAGER}"
        if run_uid is not None:
            selector += f",{LABEL_RUN_UID}={run_uid}"
        if kind is not None:
            selector += f",{LABEL_KIND}={kind}"
        return self._list(_jobs_path(self._namespace), selector)

    def pods(self, run_uid: str) -> list[dict[str, Any]]:
        """The pods of a run's Jobs."""
        return self._list(
            f"/api/v1/namespaces/{quote(self._namespace)}/pods", f"{LABEL_RUN_UID}={run_uid}"
        )

    def ensure_job(self, manifest: Mapping[str, Any]) -> str:
        """Creates a Job unless its owner has it; returns its name."""
        return self._ensure(_jobs_path(self._namespace), manifest)

    def ensure_run(self, manifest: Mapping[str, Any]) -> str:
        """As `ensure_job`, for a run that another owns."""
        return self._ensure(_runs_path(self._namespace, manifest["kind"]), manifest)

    def _ensure(self, path: str, manifest: Mapping[str, Any]) -> str:
        """An object of the same name counts only if the same run owns it; next to somebody else's
        it gets another name.
        """
        [owner] = manifest["metadata"]["ownerReferences"]
        plain = manifest["metadata"]["name"]
        for name in (plain, fallback_name(plain, owner["uid"])):
            body = {**manifest, "metadata": {**manifest["metadata"], "name": name}}
            try:
                self._request("POST", path, {"fieldValidation": "Strict"}, body)
            except AlreadyExists:
                try:
                    found = self._request("GET", f"{path}/{quote(name)}")
                except NotFound:
                    raise Conflict(f"{name} was there and is gone") from None
                if not owned_by(found, owner["uid"]):
                    continue
            return name
        raise Refused(f"{plain} and its other name both belong to somebody else")

    # Events

    def create_event(self, event: Mapping[str, Any]) -> bool:
        """Creates an Event; False if it was created before."""
        path = f"/apis/events.k8s.io/v1/namespaces/{quote(self._namespace)}/events"
        try:
            self._request("POST", path, None, event)
        except AlreadyExists:
            return False
        return True

    # HTTP

    def _list(self, path: str, selector: str | None = None) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        query = {"limit": str(LIST_LIMIT)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = self._request("GET", path, query)
            items += page["items"]
            more = page["metadata"].get("continue")
            if not more:
                return items
            query["continue"] = more

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        if query:
            path = f"{path}?{urlencode(query)}"
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        method, url, headers, sent, _ = self._client.param_serialize(
            method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            answer = self._client.call_api(
                method, url, header_params=headers, body=sent, _request_timeout=TIMEOUT_S
            )
            data = answer.read()  # type: ignore[no-untyped-call]
        except ApiException as error:
            # The client raises it for what is no HTTP answer, such as a failing TLS handshake.
            raise ClusterUnreachable(f"the API server cannot be asked: {error.reason}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterUnreachable(
                f"the API server does not answer ({type(error).__name__})"
            ) from error
        if 200 <= answer.status < 300:
            result: dict[str, Any] = json.loads(data)
            return result
        raise _error(method, path, answer.status, data)


def _error(method: str, path: str, status: int, data: bytes) -> Exception:
    """The API server's refusal as one of ours, in its own words."""
    try:
        answer = json.loads(data)
    except ValueError:
        answer = {}
    reason, message = answer.get("reason"), answer.get("message") or f"HTTP {status}"
    path = path.partition("?")[0]
    if status == 409:
        return AlreadyExists(message) if reason == "AlreadyExists" else Conflict(message)
    if status == 404:
        return NotFound(message)
    if status == 401:
        # A ServiceAccount's token is renewed in its file, so the next request may bring a better
        # one.
        return ClusterUnreachable("the API server refuses the operator's token")
    if status == 429 or status >= 500:
        return ClusterUnreachable(f"{method} {path}: the API server answers {status}: {message}")
    return Refused(message)


def _runs_path(namespace: str, kind: str, name: str | None = None) -> str:
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{quote(namespace)}/{PLURALS[kind]}"
    return path if name is None else f"{path}/{quote(name)}"


def _jobs_path(namespace: str) -> str:
    return f"/apis/batch/v1/namespaces/{quote(namespace)}/jobs"


def owned_by(body: Mapping[str, Any], uid: str) -> bool:
    """Whether the object's controller is the one with this uid."""
    return any(
        owner.get("controller") and owner["uid"] == uid
        for owner in body["metadata"].get("ownerReferences", ())
    )


def job_facts(job: Mapping[str, Any], pods: Sequence[Mapping[str, Any]], now: datetime) -> JobFacts:
    """What is to be known of a Job. Only Complete and Failed end it; `pods`: of the whole run."""
    metadata, status = job["metadata"], job.get("status") or {}
    ended = {
        each["type"]: each
        for each in status.get("conditions", ())
        if each["status"] == "True" and each["type"] in ("Complete", "Failed")
    }
    condition = ended.get("Failed") or ended.get("Complete")
    state = JobState.ACTIVE
    if condition is not None:
        state = JobState.FAILED if "Failed" in ended else JobState.COMPLETE
    own = [pod for pod in pods if owned_by(pod, metadata["uid"])]
    exit_code, message = _last_exit(own)
    if state is JobState.COMPLETE:
        exit_code = 0
    return JobFacts(
        name=metadata["name"],
        kind=metadata["labels"].get(LABEL_KIND, ""),
        group=metadata["labels"].get(LABEL_GROUP, ""),
        state=state,
        created_at=parse_time(metadata["creationTimestamp"]),
        ended_at=parse_time(condition["lastTransitionTime"]) if condition else None,
        reason=condition.get("reason") if condition and state is JobState.FAILED else None,
        exit_code=exit_code if state is not JobState.ACTIVE else None,
        pod_message=message if state is JobState.FAILED else None,
        pod_waiting=_waiting(own, now) if state is JobState.ACTIVE else None,
    )


def _last_exit(pods: Sequence[Mapping[str, Any]]) -> tuple[int | None, str | None]:
    """Exit code and termination message of the pod that ended last."""
    ended = [
        terminated
        for pod in pods
        for container in pod.get("status", {}).get("containerStatuses", ())
        if (terminated := container.get("state", {}).get("terminated"))
    ]
    last = max(ended, key=lambda each: each.get("finishedAt") or "", default=None)
    if last is None:
        return None, None
    lines = (last.get("message") or "").strip().splitlines()
    return last.get("exitCode"), _plain(lines[-1]) if lines else None


def _plain(line: str) -> str:
    """What a line of our logs says, without its fields; any other line as it is."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    said = entry.get("message") if isinstance(entry, dict) else None
    return said if isinstance(said, str) and said else line


def _waiting(pods: Sequence[Mapping[str, Any]], now: datetime) -> str | None:
    """Why a pod cannot start, in a sentence; None while it runs or may start by itself."""
    for pod in pods:
        created_at = parse_time(pod["metadata"]["creationTimestamp"])
        if created_at is None or now - created_at < POD_MAY_TAKE:
            continue
        for container in pod.get("status", {}).get("containerStatuses", ()):
            waiting = container.get("state", {}).get("waiting") or {}
            if waiting.get("reason") in POD_WAITS_FOR_GOOD:
                said = waiting.get("message") or waiting["reason"]
                return f"its pod cannot start ({waiting['reason']}): {said}"
        for condition in pod.get("status", {}).get("conditions", ()):
            if condition.get("reason") == "Unschedulable":
                return f"its pod fits on no node: {condition.get('message', 'Unschedulable')}"
    return None
