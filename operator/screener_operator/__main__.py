"""Entry point `screener-operator`: watches, works, and ends as a whole if any part of it ends.

A half-dead operator would look alive; so when the watches, the worker or the health endpoint
fails, the process exits with 1 and is started again. SIGTERM ends it with 0, between two writes.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

import kopf

from screener_operator import health
from screener_operator.cluster import Cluster, load_configuration
from screener_operator.handlers import make_registry, watch_settings
from screener_operator.reconciler import Reconciler
from screener_operator.settings import Settings
from screener_operator.store import Store
from screener_operator.worker import Worker
from screener_operator.workqueue import WorkQueue
from screener_sql.errors import BadSetting
from screener_sql.logs import start_logging
from screener_sql.model import ExitCode

logger = logging.getLogger(__name__)

LONGEST_STOP_S = 25.0
"""For a part to end once it was asked to; within the pod's grace period."""


class Part(threading.Thread):
    """A part of the operator that shall only end when asked to. `ended` is set whenever any part
    ends.
    """

    def __init__(self, name: str, work: Callable[[], None], ended: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._ended = ended

    def run(self) -> None:
        try:
            self._work()
        except BaseException:
            logger.exception("%s failed", self.name, extra={"action": "part_failed"})
        finally:
            self._ended.set()


def operate(settings: Settings) -> int:
    """Runs until SIGTERM (returns 0) or until a part of it ends (returns 1). Raises BadSetting."""
    configuration = load_configuration()
    queue = WorkQueue()
    heartbeat = health.Heartbeat(settings.resync_seconds)
    store = Store(settings.database_url)
    worker = Worker(
        queue,
        Reconciler(
            Cluster(settings.namespace, configuration),
            store,
            job_settings=settings.jobs,
            namespace=settings.namespace,
            max_jobs=settings.max_jobs,
            instance=os.environ.get("POD_NAME") or socket.gethostname(),
        ),
        heartbeat,
        resync_seconds=settings.resync_seconds,
    )
    ended, asked, stop_watches = threading.Event(), threading.Event(), threading.Event()

    def ask(number: int, _: object) -> None:
        asked.set()
        ended.set()

    def watch() -> None:
        asyncio.run(
            kopf.operator(
                registry=make_registry(queue, heartbeat, configuration, ended.set),
                settings=watch_settings(),
                standalone=True,
                namespaces=[settings.namespace],
                stop_flag=stop_watches,
            )
        )

    try:
        endpoint = health.serve(heartbeat, settings.health_port)
    except OSError as error:
        raise BadSetting(f"HEALTH_PORT {settings.health_port}: {error.strerror}") from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    parts = (Part("watches", watch, ended), Part("worker", worker.run, ended))
    for part in parts:
        part.start()
    logger.info(
        "the operator has started in namespace %s, health on port %d",
        settings.namespace,
        endpoint.server_address[1],
        extra={"action": "started"},
    )
    ended.wait()
    stop_watches.set()
    queue.stop()
    for part in parts:
        part.join(LONGEST_STOP_S / len(parts))
    store.close()
    endpoint.shutdown()
    if not asked.is_set():
        logger.error("a part of the operator has ended; so all of it does")
        return ExitCode.UNEXPECTED
    logger.info("the operator has stopped", extra={"action": "stopped"})
    return ExitCode.DONE


def main() -> int:
    try:
        settings = Settings.from_environment(os.environ)
        start_logging(settings.log_format)
        # A line for each watch event, and one for each activity of the framework.
        for chatty in ("kopf", "asyncio"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        return operate(settings)
    except BadSetting as error:
        print(f"screener-operator: {error}", file=sys.stderr)
        return ExitCode.BAD_SETTING


if __name__ == "__main__":
    sys.exit(main())
