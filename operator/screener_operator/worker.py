"""The thread that works: takes keys from the queue, one at a time, and has each reconciled.

An error of one key is logged and tried again after a growing pause; it never ends the thread, nor
holds up other keys.
"""

import logging

from screener_operator.health import Heartbeat
from screener_operator.reconciler import Reconciler
from screener_operator.workqueue import Key, WorkQueue
from screener_sql.errors import Retryable, ScreenerError

logger = logging.getLogger(__name__)

EVERYTHING = Key("", "")
"""Look at everything: due every RESYNC_SECONDS, and whenever a run was deleted."""
PAUSE_S = 1.0
"""After a first failure; doubled with each that follows at once."""
LONGEST_PAUSE_S = 10.0
DELETED_SOON_GONE_S = 2.0


class Worker:
    def __init__(
        self,
        queue: WorkQueue,
        reconciler: Reconciler,
        heartbeat: Heartbeat,
        *,
        resync_seconds: float,
    ) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._heartbeat = heartbeat
        self._resync_seconds = resync_seconds
        self._failures: dict[Key, int] = {}

    def run(self) -> None:
        """Until the queue is stopped."""
        self._queue.add(EVERYTHING)
        while not self._queue.stopped:
            key = self._queue.get(timeout=5.0)
            if key is None:
                continue
            try:
                self._work(key)
            finally:
                self._queue.done(key)

    def _work(self, key: Key) -> None:
        again: float | None = None
        try:
            again = self._serve(key)
        except Retryable as error:
            again = self._pause(key)
            logger.warning(
                "%s: %s; tried again in %.0f s",
                _words(key),
                error,
                again,
                extra={"action": "retry", "kind": key.kind, "run": key.name},
            )
        except ScreenerError as error:
            again = self._pause(key)
            logger.error(
                "%s: %s; tried again in %.0f s",
                _words(key),
                error,
                again,
                extra={"action": "refused", "kind": key.kind, "run": key.name},
            )
        except Exception:
            again = self._pause(key)
            logger.exception(
                "%s: unexpected error; tried again in %.0f s",
                _words(key),
                again,
                extra={"action": "unexpected_error", "kind": key.kind, "run": key.name},
            )
        else:
            self._failures.pop(key, None)
        if again is not None:
            self._queue.add_after(key, again)

    def _serve(self, key: Key) -> float | None:
        if key == EVERYTHING:
            return self._sweep()
        if not key.name:
            for name in self._reconciler.unfinished(key.kind):
                self._queue.add(Key(key.kind, name))
            return None
        return self._reconciler.reconcile(key.kind, key.name)

    def _sweep(self) -> float:
        sweep = self._reconciler.sweep()
        for run in sweep.unfinished:
            self._queue.add(Key(run.kind, run.name))
        self._heartbeat.swept(sweep.listed)
        return DELETED_SOON_GONE_S if sweep.look_again else self._resync_seconds

    def _pause(self, key: Key) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        return min(LONGEST_PAUSE_S, PAUSE_S * 2.0 ** min(failures - 1, 10))


def _words(key: Key) -> str:
    return "the look at everything" if key == EVERYTHING else f"{key.kind} {key.name}".strip()
