"""kopf's part: its watches wake the queue, and that is all. No decision, no write, no finalizer,
no annotation.
"""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf
from kubernetes.client.configuration import Configuration

from screener_operator.cluster import bearer_token
from screener_operator.health import Heartbeat
from screener_operator.jobs import LABEL_MANAGED_BY, MANAGER
from screener_operator.resources import COLLECTION_RUN, GROUP, INDICATOR_RUN, PLURALS, VERSION
from screener_operator.worker import EVERYTHING
from screener_operator.workqueue import Key, WorkQueue

LOGIN_FOR = timedelta(minutes=10)
"""Then the token is read again, well within the hour for which the kubelet's tokens hold."""


LOGINS_A_MINUTE = 8
"""More of them mean that the API server refuses the token each time."""


def watch_settings() -> kopf.OperatorSettings:
    """Watches that notice when the other side is gone."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.networking.request_timeout = 10
    settings.networking.connect_timeout = 5
    settings.watching.connect_timeout = 5
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.process.ultimate_exiting_timeout = 20
    return settings


def make_registry(
    queue: WorkQueue,
    heartbeat: Heartbeat,
    configuration: Configuration,
    give_up: Callable[[], None],
) -> kopf.OperatorRegistry:
    """The watches of both kinds and of their Jobs, and the login.

    `give_up` is called when the API server refuses the token again and again.
    """
    registry = kopf.OperatorRegistry()

    def run_event(kind: str, event: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        metadata = body["metadata"]
        name = metadata["name"]
        if event["type"] == "DELETED":
            # Its execution is to be closed, and another run may have waited for it.
            queue.add(EVERYTHING)
            return
        heartbeat.heard(kind, name, metadata["resourceVersion"])
        if (body.get("status") or {}).get("completionTime"):
            queue.add(Key(kind, ""))
        else:
            queue.add(Key(kind, name))

    @kopf.on.event(GROUP, VERSION, PLURALS[COLLECTION_RUN], registry=registry)
    async def collection_run_event(
        event: Mapping[str, Any], body: Mapping[str, Any], **_: object
    ) -> None:
        run_event(COLLECTION_RUN, event, body)

    @kopf.on.event(GROUP, VERSION, PLURALS[INDICATOR_RUN], registry=registry)
    async def indicator_run_event(
        event: Mapping[str, Any], body: Mapping[str, Any], **_: object
    ) -> None:
        run_event(INDICATOR_RUN, event, body)

    @kopf.on.event("batch", "v1", "jobs", labels={LABEL_MANAGED_BY: MANAGER}, registry=registry)
    async def job_event(body: Mapping[str, Any], **_: object) -> None:
        for owner in body["metadata"].get("ownerReferences", ()):
            if owner.get("controller") and owner["kind"] in PLURALS:
                queue.add(Key(owner["kind"], owner["name"]))

    logins: deque[datetime] = deque(maxlen=LOGINS_A_MINUTE)

    @kopf.on.login(registry=registry)
    async def login(**_: object) -> kopf.ConnectionInfo:
        now = datetime.now(UTC)
        if len(logins) == LOGINS_A_MINUTE and now - logins[0] < timedelta(minutes=1):
            # kopf would wait for ever; a process that ends is started again, and seen.
            give_up()
            raise kopf.PermanentError("the API server refuses the operator's token")
        logins.append(now)
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            scheme="Bearer",
            token=bearer_token(configuration),
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            expiration=now + LOGIN_FOR,
        )

    return registry
