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

import kopf

from screener_operator import health, logs
from screener_operator.cluster import Cluster, load_configuration
from screener_operator.handlers import make_registry, watch_settings
from screener_operator.reconciler import Reconciler
from screener_operator.settings import Settings
from screener_operator.store import Store
from screener_operator.worker import Worker
from screener_operator.workqueue import WorkQueue
from screener_sql.errors import BadSetting
from screener_sql.model import ExitCode

logger = logging.getLogger(__name__)


async def operate(settings: Settings) -> int:
    """Runs until SIGTERM (returns 0) or until a part of it fails (returns 1). Raises BadSetting."""
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
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    endpoint = health.serve(heartbeat, settings.health_port)
    watches = asyncio.create_task(
        kopf.operator(
            registry=make_registry(queue, heartbeat, configuration),
            settings=watch_settings(),
            standalone=True,
            namespaces=[settings.namespace],
            stop_flag=stopping,
        ),
        name="watches",
    )
    work = asyncio.create_task(asyncio.to_thread(worker.run), name="worker")
    asked = asyncio.create_task(stopping.wait(), name="signal")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    logger.info(
        "the operator has started in namespace %s, health on port %d",
        settings.namespace,
        endpoint.server_address[1],
        extra={"action": "started"},
    )
    done, _ = await asyncio.wait({watches, work, asked}, return_when=asyncio.FIRST_COMPLETED)
    ended_by_itself = [task for task in (watches, work) if task in done and asked not in done]
    stopping.set()
    queue.stop()
    results = await asyncio.gather(watches, work, asked, return_exceptions=True)
    store.close()
    endpoint.shutdown()
    for task, result in zip((watches, work), results, strict=False):
        if isinstance(result, Exception):
            logger.error("the %s failed", task.get_name(), exc_info=result)
    if ended_by_itself:
        names = ", ".join(task.get_name() for task in ended_by_itself)
        logger.error("%s ended by itself; the operator ends", names, extra={"action": "died"})
        return ExitCode.UNEXPECTED
    logger.info("the operator has stopped", extra={"action": "stopped"})
    return ExitCode.DONE


def main() -> int:
    try:
        settings = Settings.from_environment(os.environ)
        logs.configure(settings.log_format)
        return asyncio.run(operate(settings))
    except BadSetting as error:
        print(f"screener-operator: {error}", file=sys.stderr)
        return ExitCode.BAD_SETTING


if __name__ == "__main__":
    sys.exit(main())
