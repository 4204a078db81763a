"""Adapter: free ports on 127.0.0.1, chosen once for a state folder and remembered there."""

import fcntl
import json
import random
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

FIRST, LAST = 20_000, 32_000
"""Below the range from which Linux takes the ports of outgoing connections, so that none of those
lands on ours."""


class Ports:
    """The ports of one local system, kept in `<state>/ports.json`; any number of these may share
    it."""

    def __init__(self, state: Path) -> None:
        self._file = state / "ports.json"

    def get(self, part: str) -> int:
        """The part's port, chosen now if it has none."""
        with self._changing() as chosen:
            if part not in chosen:
                chosen[part] = free_port(without=chosen.values())
            return chosen[part]

    def for_start(self, part: str) -> int:
        """The part's port; another one if somebody else listens on it meanwhile."""
        with self._changing() as chosen:
            if part not in chosen or not _is_free(chosen[part]):
                chosen[part] = free_port(without=chosen.values())
            return chosen[part]

    @contextmanager
    def _changing(self) -> Iterator[dict[str, int]]:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = json.loads(self._file.read_text()) if self._file.exists() else {}
            chosen = dict(before)
            yield chosen
            if chosen != before:
                temporary = self._file.with_suffix(".new")
                temporary.write_text(json.dumps(chosen, indent=2))
                temporary.replace(self._file)


def free_port(without: Iterable[int] = ()) -> int:
    """A port that nobody listens on at this moment."""
    taken = set(without)
    for port in random.sample(range(FIRST, LAST), LAST - FIRST):
        if port not in taken and _is_free(port):
            return port
    raise OSError(f"no free port between {FIRST} and {LAST} on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
