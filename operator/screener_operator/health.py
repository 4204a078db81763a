"""Whether the operator works, and the endpoint that says so: alive only while it both looks and
hears.

It looks: the last look at everything is recent. It hears: what that look found had been told by
the watches as well.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

logger = logging.getLogger(__name__)

MISSED_LOOKS = 3
"""So many looks at everything may fail in a row before the process is held to be dead."""
SLACK_S = 30.0
DEAF_AFTER_S = 60.0
"""A version of an object that a look found and no watch has told of for so long: that watch is
dead.
"""


class Heartbeat:
    """Threads may share it. `clock`: seconds, monotonic."""

    def __init__(self, resync_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest_s = MISSED_LOOKS * resync_seconds + SLACK_S
        self._clock = clock
        self._lock = threading.Lock()
        self._swept_at: float | None = None
        self._told: dict[tuple[str, str], str] = {}
        self._unheard: dict[tuple[str, str], float] = {}

    def heard(self, kind: str, name: str, resource_version: str) -> None:
        """A watch has told of an object."""
        with self._lock:
            self._told[kind, name] = resource_version
            self._unheard.pop((kind, name), None)

    def swept(self, listed: Mapping[tuple[str, str], str]) -> None:
        """A look at everything has ended. `listed`: (kind, name) to resource version."""
        now = self._clock()
        with self._lock:
            self._swept_at = now
            self._told = {key: told for key, told in self._told.items() if key in listed}
            self._unheard = {
                key: self._unheard.get(key, now)
                for key, version in listed.items()
                if self._told.get(key) != version
            }

    def problem(self) -> str | None:
        """What is wrong, as a sentence; None while all is well."""
        now = self._clock()
        with self._lock:
            if self._swept_at is None:
                return "has not looked at everything yet"
            if now - self._swept_at > self._longest_s:
                return f"last looked at everything {now - self._swept_at:.0f} s ago"
            deaf = [key for key, since in self._unheard.items() if now - since > DEAF_AFTER_S]
            if deaf:
                kind, name = min(deaf)
                return f"no watch has told of a change of {kind} {name}"
            return None


def serve(heartbeat: Heartbeat, port: int) -> ThreadingHTTPServer:
    """Answers GET /healthz on `port`, in a thread of its own, until `shutdown`: 200, or 503 with
    what is wrong.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            if self.path not in ("/healthz", "/readyz"):
                self.send_error(404)
                return
            problem = heartbeat.problem()
            text = (problem or "ok").encode() + b"\n"
            self.send_response(503 if problem else 200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            logger.debug(format, *args)

    server = ThreadingHTTPServer(("", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
